package bulk

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ndjsonReader reads one JSON object from each line.
type ndjsonReader struct {
	from *bufio.Reader
	line int
}

func (r *ndjsonReader) columns() []string { return nil }
func (r *ndjsonReader) comma() rune       { return ',' }

// next returns the next line that is not empty.
func (r *ndjsonReader) next() (record, error) {
	for {
		text, err := r.readLine()
		if text = bytes.TrimSpace(text); len(text) > 0 && err == nil {
			return record{line: r.line, raw: string(text)}, nil
		}
		if err != nil {
			return record{}, err
		}
	}
}

// readLine returns the next line; io.EOF only without one.
func (r *ndjsonReader) readLine() ([]byte, error) {
	var line []byte
	for {
		part, err := r.from.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxRowBytes:
			return nil, fmt.Errorf("%w: line %d is longer than %d bytes", ErrFile, r.line+1, maxRowBytes)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) > 0, err == nil:
			r.line++
			return line, nil
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		}
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
}
