package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/labstack/echo/v4"

	"segue/web/view"
)

//go:embed static
var static embed.FS

// assets are the static files under addresses that hold a hash of their content: they can be kept for ever.
type assets struct {
	byURL map[string]asset
	urls  map[string]string // file name → address
}

type asset struct {
	body []byte
	kind string
}

// kinds are the content types of what is served. Licences and checksums are embedded, and are not.
func kinds() map[string]string {
	return map[string]string{
		".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
		".woff2": "font/woff2", ".svg": "image/svg+xml",
	}
}

func loadAssets() (*assets, error) {
	a := &assets{byURL: map[string]asset{}, urls: map[string]string{}}
	files, err := fs.ReadDir(static, "static")
	if err != nil {
		return nil, fmt.Errorf("web: static files: %w", err)
	}
	if err := a.script(); err != nil {
		return nil, err
	}
	var sheets []string
	for _, f := range files {
		switch ext := path.Ext(f.Name()); {
		case ext == ".css":
			sheets = append(sheets, f.Name()) // they name the fonts, whose addresses must be known
		case ext == ".js": // in the one script
		case kinds()[ext] != "":
			err = a.add(f.Name(), nil)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, name := range sheets {
		if err := a.add(name, a.urls); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// script makes one file of the pages' scripts. As files of their own they would race: htmx starts as soon as it may, and knows nothing of
// an extension that a slow line brings a moment later. Such a page would never move.
func (a *assets) script() error {
	var all strings.Builder
	for _, name := range []string{"htmx.js", "hx-sse.js", "segue.js"} {
		body, err := static.ReadFile("static/" + name)
		if err != nil {
			return fmt.Errorf("web: static file %s: %w", name, err)
		}
		all.Write(body)
		all.WriteString(";\n") // the next one begins a statement, whatever this one ends with
	}
	a.keep("segue.js", all.String())
	return nil
}

// add takes a file in; the names in refs are replaced by their addresses.
func (a *assets) add(name string, refs map[string]string) error {
	body, err := static.ReadFile("static/" + name)
	if err != nil {
		return fmt.Errorf("web: static file %s: %w", name, err)
	}
	text := string(body)
	for ref, url := range refs {
		text = strings.ReplaceAll(text, `url("`+ref+`")`, `url("`+url+`")`)
	}
	a.keep(name, text)
	return nil
}

// keep gives a file its address.
func (a *assets) keep(name, text string) {
	sum := sha256.Sum256([]byte(text))
	ext := path.Ext(name)
	url := "/static/" + strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
	a.urls[name] = url
	a.byURL[url] = asset{body: []byte(text), kind: kinds()[ext]}
}

func (a *assets) view() view.Assets {
	return view.Assets{CSS: a.urls["segue.css"], JS: a.urls["segue.js"], Icon: a.urls["mark.svg"], Font: a.urls["inter.woff2"]}
}

func (a *assets) serve(c echo.Context) error {
	found, ok := a.byURL[c.Request().URL.Path]
	if !ok {
		return echo.ErrNotFound
	}
	c.Response().Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	return c.Blob(http.StatusOK, found.kind, found.body)
}
