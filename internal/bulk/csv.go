package bulk

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// csvReader reads CSV with a header. Its delimiter is a comma, a semicolon, a tab or a bar.
type csvReader struct {
	csv    *csv.Reader
	window *window
	before int // lines before those that csv counts
	header []string
}

func newCSVReader(in *input) (*csvReader, error) {
	r := &csvReader{}
	delimiter, err := r.separatorLine(in)
	if err != nil {
		return nil, err
	}
	if delimiter == 0 {
		start, _ := in.Peek(peekBytes) // a shorter file is no error
		delimiter = sniff(start)
	}
	r.window = &window{from: in}
	r.csv = csv.NewReader(r.window)
	r.csv.Comma = delimiter
	r.csv.FieldsPerRecord = -1
	header, err := r.next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: it has no header", ErrFile)
	case err != nil:
		return nil, err
	case header.why != "":
		return nil, fmt.Errorf("%w: line %d, the header, %s", ErrFile, header.line, header.why)
	}
	for _, name := range header.cells {
		name, _ := cell(name)
		r.header = append(r.header, name)
	}
	return r, nil
}

// separatorLine reads the first line if it is Excel's own "sep=;", and returns the delimiter that it names; 0 for none.
func (r *csvReader) separatorLine(in *input) (rune, error) {
	const name = "sep="
	start, _ := in.Peek(len(name) + len(",\r\n")) // a shorter file has no such line
	if len(start) <= len(name) || !strings.EqualFold(string(start[:len(name)]), name) {
		return 0, nil
	}
	line, err := in.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("%w: %w", ErrFile, err)
	}
	r.before = 1
	delimiter := strings.TrimRight(line[len(name):], "\r\n")
	if len(delimiter) != 1 || !strings.Contains(delimiters, delimiter) {
		return 0, fmt.Errorf("%w: its first line %q names no delimiter that is known; delete the line", ErrFile, strings.TrimSpace(line))
	}
	return rune(delimiter[0]), nil
}

const delimiters = ",;\t|"

// sniff returns the delimiter that the header has most often outside of quotes; a comma if it has none.
func sniff(start []byte) rune {
	counts := map[byte]int{}
	for _, c := range unquotedLine(start) {
		counts[c]++
	}
	best := delimiters[0]
	for i := range len(delimiters) {
		if counts[delimiters[i]] > counts[best] {
			best = delimiters[i]
		}
	}
	return rune(best)
}

// unquotedLine returns what is outside of quotes in the first line that is not empty.
func unquotedLine(start []byte) []byte {
	var line []byte
	quoted := false
	for _, c := range bytes.TrimLeft(start, "\r\n") {
		switch {
		case c == '"':
			quoted = !quoted
		case c == '\n' && !quoted:
			return line
		case !quoted:
			line = append(line, c)
		}
	}
	return line
}

func (r *csvReader) columns() []string { return r.header }
func (r *csvReader) comma() rune       { return r.csv.Comma }

// next returns the next row. Empty lines and rows of empty cells are none.
func (r *csvReader) next() (record, error) {
	for {
		begin := r.csv.InputOffset()
		cells, err := r.csv.Read()
		text := r.window.cut(begin, r.csv.InputOffset())
		parse, isParse := errors.AsType[*csv.ParseError](err)
		switch {
		case err == nil && isBlank(cells):
			continue
		case err == nil:
			line, _ := r.csv.FieldPos(0)
			return record{line: line + r.before, cells: cells, why: r.wrongCells(cells)}, nil
		case isParse:
			row := record{line: parse.StartLine + r.before, raw: strings.Trim(string(text), "\r\n")}
			if errors.Is(err, csv.ErrBareQuote) {
				row.cells = r.textFormulas(row.raw)
			}
			if row.why = parseProblem(parse); row.cells != nil {
				row.why = r.wrongCells(row.cells)
			}
			return row, nil
		case errors.Is(err, io.EOF):
			return record{}, io.EOF
		case errors.Is(err, errLongRow):
			line := bytes.Count(r.window.all[:begin-r.window.start], []byte("\n"))
			return record{}, fmt.Errorf("%w: after line %d a row is longer than %d bytes; is a closing quote missing?", ErrFile, r.window.lines+line+r.before, maxRowBytes)
		}
		return record{}, fmt.Errorf("%w: %w", ErrFile, err)
	}
}

func isBlank(cells []string) bool {
	for _, c := range cells {
		if strings.TrimSpace(c) != "" {
			return false
		}
	}
	return true
}

// wrongCells says why the cells of a row are not those of the header, "" if they are. Cells may be missing at the end, as
// Excel leaves them out; one that is too many shifts all others. A quote that is not closed takes the rows behind it into
// its cell, also if no field needs that cell.
func (r *csvReader) wrongCells(cells []string) string {
	if r.header == nil {
		return ""
	}
	if len(cells) > len(r.header) && !isBlank(cells[len(r.header):]) {
		return fmt.Sprintf("has %d cells, and the header has %d; put a value that holds the delimiter into quotes", len(cells), len(r.header))
	}
	delimiters := len(r.header) - 1
	for _, c := range cells {
		if delimiters == 0 || !strings.Contains(c, "\n") {
			continue
		}
		for line := range strings.Lines(c) {
			if strings.Count(line, string(r.csv.Comma)) >= delimiters {
				return fmt.Sprintf("has a value of %d lines, one of which looks like a row; is a closing quote missing?", strings.Count(c, "\n")+1)
			}
		}
	}
	return ""
}

// textFormulas reads a row in which cells are written ="00123", without quotes around them. It is how spreadsheets are made
// to keep leading zeros, and not valid CSV. nil: the row has other quotes, too, or one that is not closed: its value goes on
// in the next line, and the cells behind it are not in the row.
func (r *csvReader) textFormulas(row string) []string {
	if strings.Count(row, `"`)%2 != 0 {
		return nil
	}
	lazy := csv.NewReader(strings.NewReader(row))
	lazy.Comma, lazy.LazyQuotes = r.csv.Comma, true
	cells, err := lazy.Read()
	if err != nil {
		return nil
	}
	for _, c := range cells {
		if c = strings.TrimSpace(c); strings.Contains(c, `"`) && (!strings.HasPrefix(c, `="`) || !strings.HasSuffix(c, `"`) || strings.Count(c, `"`) != 2) {
			return nil
		}
	}
	return cells
}

func parseProblem(err *csv.ParseError) string {
	why := "has a quote in a place where none may be; write it twice inside of quotes"
	if errors.Is(err, csv.ErrQuote) {
		why = "has a quoted value that does not end with its closing quote"
	}
	if err.Line > err.StartLine {
		why += fmt.Sprintf("; the row takes %d lines", err.Line-err.StartLine+1)
	}
	return why
}

var errLongRow = errors.New("a row is too long")

// window hands bytes on and remembers those since the last row. It ends a row that is too long: encoding/csv would
// otherwise read everything behind an open quote into memory.
type window struct {
	from  io.Reader
	all   []byte // from offset start on
	start int64
	done  int64 // offset of the first row that is not read
	lines int   // before start
}

func (w *window) Read(p []byte) (int, error) {
	if w.start+int64(len(w.all))-w.done > maxRowBytes {
		return 0, errLongRow
	}
	n, err := w.from.Read(p)
	w.all = append(w.all, p[:n]...)
	return n, err
}

// cut returns the bytes of a row that was read, which are valid until the next Read.
func (w *window) cut(begin, end int64) []byte {
	if behind := begin - w.start; behind > peekBytes { // seldom, since it copies what is left
		w.lines += bytes.Count(w.all[:behind], []byte("\n"))
		w.all = append(w.all[:0], w.all[behind:]...)
		w.start = begin
	}
	w.done = end
	return w.all[begin-w.start : end-w.start]
}
