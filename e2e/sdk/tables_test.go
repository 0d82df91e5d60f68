package sdk

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const tableFile = "testdata/problems.md"

const tableHead = `# What each SDK makes of each problem

Each was provoked for real, through an agent; ` + "`go test -run TestProblems -update`" + ` wrote this. In every cell the SDK raised an error that has
the problem's message in it, its status and its code (` + "`segue_…`" + `; for Twilio's SDKs the number). The SDKs' own retries were on (2 where they
have any; Twilio's have none).

| problem | provoked by | status | executed | retry | should-retry |
|---|---|---|---|---|---|
`

const tableMiddle = `
The class of the error, and how many requests left the SDK. After in-progress those that heed should-retry ask again by themselves, and have
the first call's answer once there is one (` + "`TestInProgressIsOvercome`" + `). stripe-go retries no answer whose body has an ` + "`error`" + ` object, and
Stripe's own 409 neither: there the application asks again, with the same key.

| problem |`

// compareTables holds the lines against the file, or writes it. A problem that could not be provoked here keeps what the file says.
func compareTables(t *testing.T, lines map[string]*line) {
	t.Helper()
	was, err := os.ReadFile(tableFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	now := renderTables(lines, string(was))
	t.Log("\n" + now)
	if *update && !t.Failed() {
		if err := os.WriteFile(tableFile, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if now != string(was) {
		t.Errorf("%s says otherwise; look at the difference, then -update:\n%s", tableFile, was)
	}
}

func renderTables(lines map[string]*line, was string) string {
	first, second := "", ""
	old := [2][]string{oldRows(was, 0), oldRows(was, 1)}
	for i, p := range problems {
		l := lines[p.name]
		if l == nil {
			first, second = first+row(old[0], i), second+row(old[1], i)
			continue
		}
		first += fmt.Sprintf("| %s | %s | %d | %s | %s | %s |\n", p.name, p.how, l.doc.Status, l.doc.Executed, l.doc.Retry, l.again)
		second += fmt.Sprintf("| %s | %s |\n", p.name, strings.Join(l.cells, " | "))
	}
	head := tableMiddle
	for _, lib := range libraries {
		head += " " + lib.name + " |"
	}
	return tableHead + first + head + "\n|" + strings.Repeat("---|", len(libraries)+1) + "\n" + second
}

// oldRows are the rows of the file's n-th table.
func oldRows(file string, n int) (rows []string) {
	table := -1
	for text := range strings.Lines(file) {
		switch {
		case strings.HasPrefix(text, "|---"):
			table++
		case strings.HasPrefix(text, "| ") && table == n && !strings.HasPrefix(text, "| problem |"):
			rows = append(rows, text)
		}
	}
	return rows
}

func row(rows []string, i int) string {
	if i < len(rows) {
		return rows[i]
	}
	return ""
}
