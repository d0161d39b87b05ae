package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"golang.org/x/term"
)

// minWidth is the narrowest page: below it the terminal breaks the lines itself.
const minWidth = 40

// sized is an output whose width is known from another one.
type sized struct {
	io.Writer
	columns int
}

// outputWidth is how many columns an output has: COLUMNS, else the width of the terminal; 0 for a file or a pipe, in which
// no line is broken.
func outputWidth(w io.Writer) int {
	switch to := w.(type) {
	case *checkedWriter:
		return outputWidth(to.to)
	case sized:
		return to.columns
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return max(n, minWidth)
	}
	if file, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(file.Fd())); err == nil && n > 0 {
			return max(n, minWidth)
		}
	}
	return 0
}

// pageWidth is the width of a page of prose: that of the output, and ruleWidth at most.
func pageWidth(w io.Writer) int {
	if n := outputWidth(w); n > 0 {
		return min(n, ruleWidth)
	}
	return ruleWidth
}

// fold breaks a line that is longer than the output at its blanks. The lines that follow begin with indent blanks. A word
// that is longer than a line stays whole.
func fold(w io.Writer, line string, indent int) string {
	width := outputWidth(w)
	if width == 0 || utf8.RuneCountInString(line) <= width {
		return line
	}
	indent = min(indent, width/2)
	body := strings.TrimLeft(line, " ")
	lead := len(line) - len(body)
	var out strings.Builder
	out.WriteString(line[:lead])
	column := lead
	for i, word := range strings.Split(body, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > width:
			if word == "" {
				continue
			}
			out.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			out.WriteByte(' ')
			column++
		}
		out.WriteString(word)
		column += n
	}
	return out.String()
}

// printColumns prints rows with aligned columns. Where they do not fit into the output, each row is a block with a line for each
// column that has a value.
func printColumns(w io.Writer, header []string, rows [][]string) {
	if width := outputWidth(w); width > 0 && tableWidth(header, rows) > width {
		for i, cells := range rows {
			if i > 0 {
				fmt.Fprintln(w)
			}
			printBlock(w, header, cells)
		}
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, cells := range append([][]string{header}, rows...) {
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	_ = table.Flush() // checkedWriter keeps a write error
}

func printBlock(w io.Writer, header, cells []string) {
	name := 0
	for _, h := range header {
		name = max(name, utf8.RuneCountInString(h))
	}
	for i, cell := range cells {
		if cell != "" && cell != "-" {
			fmt.Fprintln(w, fold(w, fmt.Sprintf("%-*s  %s", name, header[i], cell), name+2))
		}
	}
}

// tableWidth is how wide a table is with two blanks between its columns.
func tableWidth(header []string, rows [][]string) int {
	const gap = 2
	width := -gap
	for i := range header {
		column := utf8.RuneCountInString(header[i])
		for _, cells := range rows {
			column = max(column, utf8.RuneCountInString(cells[i]))
		}
		width += column + gap
	}
	return width
}
