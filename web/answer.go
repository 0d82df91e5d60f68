package web

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"segue/web/view"
)

// answer sends a page, or the value behind it, as the caller asked for.
func (w *Web) answer(c echo.Context, status int, value any, page view.Component) error {
	if wantsJSON(c) {
		return c.JSON(status, value)
	}
	return w.html(c, status, page)
}

// html renders before anything is sent: half a page with status 200 helps nobody.
func (w *Web) html(c echo.Context, status int, page view.Component) error {
	var b bytes.Buffer
	if err := page.Render(c.Request().Context(), &b); err != nil {
		return fmt.Errorf("web: rendering: %w", err)
	}
	return c.HTMLBlob(status, b.Bytes())
}

// isAPI tells the API from the pages. It never answers with a page and never reads a form.
func isAPI(c echo.Context) bool { return strings.HasPrefix(c.Request().URL.Path, "/api/") }

// wantsJSON tells which of the two formats is asked for: the first of them that Accept names.
func wantsJSON(c echo.Context) bool {
	if isAPI(c) {
		return true
	}
	accept := c.Request().Header.Get("Accept")
	json := strings.Index(accept, "application/json")
	html := strings.Index(accept, "text/html")
	return json >= 0 && (html < 0 || json < html)
}

// ownPath is the path and query of an address of ours, "/" for any other: nobody is sent elsewhere by a form.
func ownPath(address, host string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host != "" && u.Host != host || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.ContainsAny(u.Path, "\\\r\n") {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

func seeOther(c echo.Context, path string) error { return c.Redirect(http.StatusSeeOther, path) }

// sentenceOf makes a message into a sentence for a page.
func sentenceOf(text string) string {
	if text == "" {
		return ""
	}
	r, size := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(r)) + text[size:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
