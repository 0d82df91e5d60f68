// Package web holds the pages and the API: what operators see and what they steer with. One handler serves a page as HTML and as JSON,
// by Accept.
//
// It owns the live streams of open pages and the newest view of the regions' health; everything that operators decide is the State's.
// The assemblies mount it beside the feed; browsers and the CLI call it.
package web
