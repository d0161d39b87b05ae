package bulk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode"
)

// record is one row as the file has it.
type record struct {
	line  int      // on which it begins, from 1
	cells []string // of a CSV file
	raw   string   // of NDJSON: the line. Of CSV: the row's text, if it could not be read
	why   string   // why it could not be read; "" if it could
}

// recordReader reads the records of a file. After io.EOF or another error there are no more.
type recordReader interface {
	next() (record, error)
	columns() []string // of the header; nil where the file has none
	comma() rune       // between two cells
}

// newRecordReader finds out whether the file is CSV or NDJSON.
func newRecordReader(in *input) (recordReader, error) {
	start, err := in.Peek(peekBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	text := bytes.TrimLeftFunc(start, unicode.IsSpace)
	switch {
	case len(text) == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrFile)
	case text[0] == '{':
		return &ndjsonReader{from: in.Reader}, nil
	case text[0] == '[':
		return nil, fmt.Errorf("%w: it is a JSON list; write one object on each line, for example with jq -c '.[]'", ErrFile)
	case bytes.IndexByte(text, 0) >= 0:
		return nil, fmt.Errorf("%w: it is not text; save a spreadsheet as CSV UTF-8", ErrFile)
	}
	rows, err := newCSVReader(in)
	if err != nil {
		return nil, err // not a nil *csvReader in the interface
	}
	return rows, nil
}
