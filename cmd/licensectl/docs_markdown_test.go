package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const docsFolder = "../../docs"

// A docPage is a Markdown file of docs/, as far as the tests look at it.
type docPage struct {
	file   string // from docs/, "senders/stripe.md"
	text   string
	blocks []docBlock
	tables []docTable
}

// A docBlock is a block of code: its info string, "json accepted", the file that it is the content of, and its text without
// the indentation of a list. The info string of an indented block is indented.
type docBlock struct{ info, file, text string }

const indented = "indented"

type docTable struct {
	header []string
	rows   [][]string
}

func readPage(t *testing.T, name string) docPage {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(docsFolder, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	p := docPage{file: name, text: string(content)}
	p.parse()
	return p
}

// senderPages are the pages of docs/senders/ and docs/sources.md.
func senderPages(t *testing.T) []docPage {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(docsFolder, "senders", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no page in docs/senders: %v", err)
	}
	pages := []docPage{readPage(t, "sources.md")}
	for _, file := range files {
		pages = append(pages, readPage(t, "senders/"+filepath.Base(file)))
	}
	return pages
}

func (p *docPage) parse() {
	var open *docBlock
	var indent string
	var rows [][]string
	blank := true
	for line := range strings.Lines(p.text + "\n\n") {
		line = strings.TrimRight(line, "\n")
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case open == nil && strings.HasPrefix(trimmed, "```"):
			info, file, _ := strings.Cut(strings.TrimPrefix(trimmed, "```"), " file=")
			open, indent = &docBlock{info: info, file: file}, line[:len(line)-len(trimmed)]
			continue
		case open != nil && trimmed == "```":
			p.blocks = append(p.blocks, *open)
			open = nil
			continue
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
			continue
		case strings.HasPrefix(line, "    ") && blank:
			p.blocks = append(p.blocks, docBlock{info: indented, text: trimmed + "\n"})
			continue
		}
		blank = trimmed == ""
		if strings.HasPrefix(line, "|") {
			rows = append(rows, cells(line))
			continue
		}
		if len(rows) > 2 {
			p.tables = append(p.tables, docTable{header: rows[0], rows: rows[2:]}) // rows[1] is the rule below the header
		}
		rows = nil
	}
}

// cells splits a table's line at the bars that are not escaped.
func cells(line string) []string {
	const bar = "\x00"
	line = strings.ReplaceAll(line, `\|`, bar)
	parts := strings.Split(strings.Trim(line, "|"), "|")
	for i, part := range parts {
		parts[i] = strings.TrimSpace(strings.ReplaceAll(part, bar, "|"))
	}
	return parts
}

// code lists the code spans of a text: what stands between two runs of as many backticks.
func code(text string) []string {
	var spans []string
	for {
		begin := strings.IndexByte(text, '`')
		if begin < 0 {
			return spans
		}
		text = text[begin:]
		fence := text[:len(text)-len(strings.TrimLeft(text, "`"))]
		span, rest, closed := strings.Cut(text[len(fence):], fence)
		for closed && strings.HasPrefix(rest, "`") { // a longer run is part of the span
			longer := len(rest) - len(strings.TrimLeft(rest, "`"))
			more, after, found := strings.Cut(rest[longer:], fence)
			span, rest, closed = span+fence+rest[:longer]+more, after, found
		}
		if !closed {
			return spans
		}
		spans, text = append(spans, strings.TrimSpace(span)), rest
	}
}

// of returns the tables whose first column has that header.
func (p docPage) of(header string) []docTable {
	var found []docTable
	for _, t := range p.tables {
		if t.header[0] == header {
			found = append(found, t)
		}
	}
	return found
}

// fenced returns the texts of the blocks with that info string.
func (p docPage) fenced(info string) []string {
	var texts []string
	for _, b := range p.blocks {
		if b.info == info {
			texts = append(texts, b.text)
		}
	}
	return texts
}
