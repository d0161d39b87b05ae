package bulk

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
)

// Rows reads the rows of a file one by one, for a caller that sends nothing. Make it with OpenRows, and close it.
type Rows struct {
	in      *input
	records recordReader
	mapping *mapping
	seen    seen
}

// Row is one row of a file.
type Row struct {
	Line    int
	Request deactivation.Request // not validated

	Rejected  *RejectedRow // why it is none; then Request is empty
	Duplicate bool         // an earlier row asks for the same

	// Others is what it has in columns that no field takes, by column.
	Others map[string]string

	record record
}

// OpenRows opens a file. Its errors wrap ErrFile or ErrColumns.
func OpenRows(path string, c Columns) (*Rows, error) {
	in, err := openInput(path)
	if err != nil {
		return nil, err
	}
	r := &Rows{in: in}
	if r.records, err = newRecordReader(in); err == nil {
		r.mapping, err = newMapping(c, r.records.columns())
	}
	if err != nil {
		in.close()
		return nil, err
	}
	return r, nil
}

// Close closes the file.
func (r *Rows) Close() { r.in.close() }

// Next returns the next row; io.EOF after the last one.
func (r *Rows) Next() (Row, error) {
	record, err := r.records.next()
	if err != nil {
		return Row{}, err
	}
	row := Row{Line: record.line, record: record}
	text, why := r.mapping.row(record)
	row.Others = r.others(record)
	if why != nil {
		return row.rejected(*why), nil
	}
	read, err := deactivation.ReadRow(text)
	if err != nil {
		return row.rejected(problemOf(err)), nil
	}
	row.Request = read.Request(Source, time.Time{})
	content, _ := contentOf(read, row.Request, text)
	row.Duplicate = !r.seen.add(content)
	return row, nil
}

// Columns returns the columns that are fields, and those that no field takes. Those of NDJSON are known once they were read.
func (r *Rows) Columns() (taken []Column, ignored []string) {
	return r.mapping.taken, r.mapping.ignored[:min(len(r.mapping.ignored), shownIgnored)]
}

// others returns what a record has in columns that no field takes.
func (r *Rows) others(of record) map[string]string {
	others := map[string]string{}
	if header := r.records.columns(); header != nil {
		for i, column := range header[:min(len(header), len(of.cells))] {
			if !slices.ContainsFunc(r.mapping.cells, func(c mapped) bool { return c.column == i }) {
				others[column] = strings.TrimSpace(of.cells[i])
			}
		}
		return others
	}
	var fields map[string]any
	_ = json.Unmarshal([]byte(of.raw), &fields) // of a row that is no object there are none
	for key, value := range fields {
		if text, isText := value.(string); isText && r.mapping.named[key].name == "" {
			others[key] = strings.TrimSpace(text)
		}
	}
	return others
}

func (r Row) rejected(why problem) Row {
	r.Rejected = &RejectedRow{Line: r.Line, Code: why.code, Message: deactivation.CleanText(why.message)}
	return r
}
