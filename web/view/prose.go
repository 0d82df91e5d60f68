package view

import "strings"

// Piece is a stretch of a sentence; what stood between back quotes is code.
type Piece struct {
	Text string
	Code bool
}

// Paragraphs splits a description into paragraphs, one for each item of a list too.
func Paragraphs(text string) [][]Piece {
	var all [][]Piece
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		for i, item := range strings.Split("\n"+block, "\n- ") {
			lines := strings.Join(strings.Fields(item), " ")
			if i == 0 && lines == "" {
				continue
			}
			all = append(all, pieces(strings.TrimPrefix(lines, "- ")))
		}
	}
	return all
}

func pieces(text string) []Piece {
	var list []Piece
	for i, part := range strings.Split(text, "`") {
		if part != "" {
			list = append(list, Piece{Text: part, Code: i%2 == 1})
		}
	}
	return list
}
