package bulk

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"license-deactivator/internal/deactivation"
)

// inputOf is a file's content as openInput gives it to the readers.
func inputOf(content string) *input {
	decoder := unicode.BOMOverride(unicode.UTF8.NewDecoder())
	return &input{Reader: bufio.NewReaderSize(transform.NewReader(strings.NewReader(content), decoder), peekBytes)}
}

// readAll reads the records and checks what holds for every file: lines ascend, and a record has cells, a text or a reason.
func readAll(t *testing.T, content string) (rows recordReader, records []record) {
	t.Helper()
	rows, err := newRecordReader(inputOf(content))
	last := 0
	for err == nil {
		var r record
		if r, err = rows.next(); err == nil {
			if r.line <= last || r.cells == nil && r.raw == "" {
				t.Fatalf("record %+v after line %d", r, last)
			}
			last = r.line
			records = append(records, r)
		}
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, ErrFile) {
		t.Fatalf("%v is neither the end nor ErrFile", err)
	}
	return rows, records
}

// checkRows makes a row of each record: valid JSON without a line break, or a reason without a value of the row.
func checkRows(t *testing.T, rows recordReader, records []record) {
	t.Helper()
	m, err := newMapping(Columns{Map: map[string]string{}, Set: map[string]string{}}, rows.columns())
	if err != nil {
		if !errors.Is(err, ErrColumns) {
			t.Fatalf("%v is not ErrColumns", err)
		}
		return
	}
	for _, r := range records {
		row, why := m.row(r)
		switch {
		case why != nil && (why.code == "" || why.message == ""):
			t.Fatalf("record %+v: problem %+v", r, why)
		case why == nil && (!json.Valid(row) || strings.ContainsAny(string(row), "\n")):
			t.Fatalf("record %+v: row %s", r, row)
		}
		if why == nil && m.writesRows() { // nothing is lost by reading it without a check of its fields
			checked, err := deactivation.ReadRow(row)
			unchecked, other := deactivation.ReadKnownFields(row)
			if !reflect.DeepEqual(checked, unchecked) || (err == nil) != (other == nil) || err != nil && err.Error() != other.Error() {
				t.Fatalf("row %s: %v, and without the check of its fields %v", row, err, other)
			}
		}
	}
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{
		"product,license_key,hardware_id\nXY,K1,hw1\n", "sep=;\r\nproduct;license_key\r\nXY;K1\r\n", "\ufefflicense_key,note\nK1,\"a\nb\"\n",
		"license_key,a\n=\"001\",b\n", "row\n\"{\"\"license_key\"\":\"\"K\"\"}\"\n", "license_key,order\n\"K1,1\nK2,2\n\"\n", "license_key\n1.2E+12\n,\n\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		if strings.HasPrefix(strings.TrimSpace(content), "{") {
			return
		}
		rows, records := readAll(t, content)
		if rows == nil {
			return
		}
		checkRows(t, rows, records)
		if rows.columns() == nil || !utf8.ValidString(content) {
			return
		}
		// What was read can be written as rejected rows, and read again with the same cells.
		var out strings.Builder
		w := csv.NewWriter(&out)
		w.Comma = rows.comma()
		for _, r := range records {
			if r.why == "" && w.Write(r.cells) != nil {
				t.Fatalf("record %+v cannot be written", r)
			}
		}
		if w.Flush(); w.Error() != nil {
			t.Fatal(w.Error())
		}
	})
}

func FuzzNDJSON(f *testing.F) {
	for _, seed := range []string{
		`{"product":"XY","license_key":"K1"}`, "\n" + `{"v":1,"id":"a"}` + "\r\n{}", `{"MessageId":"m","Body":"{\"v\":1}"}`, `{"Body":7,"MessageId":1}`,
		`{"a":1}{"b":2}`, `{"license":"1","key":"2"}`, `{"order":["1",2]}`, "{",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		if !strings.HasPrefix(strings.TrimSpace(content), "{") {
			return
		}
		rows, records := readAll(t, content)
		checkRows(t, rows, records)
	})
}

// FuzzRow: what the readers give is a request with an id, or is refused with the name of a field.
func FuzzRow(f *testing.F) {
	f.Add("XY", "K1", "hw1", "1001", "refund")
	f.Add("=\"XY\"", "1.2E+15", "", "a b", "")
	f.Add("\x00", "\ufffe", "\"", "{}", "manual")
	f.Fuzz(func(t *testing.T, product, key, device, order, cause string) {
		m, err := newMapping(Columns{}, []string{"product", "license_key", "hardware_id", "order", "cause"})
		if err != nil {
			t.Fatal(err)
		}
		row, why := m.row(record{line: 2, cells: []string{product, key, device, order, cause}})
		if why != nil {
			return
		}
		read, err := deactivation.ReadRow(row)
		if err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		request := read.Request(Source, time.Time{})
		for _, f := range []struct{ got, cell string }{
			{request.Product, product}, {request.LicenseKey, key}, {request.HardwareID, device}, {strings.Join(request.Order, ""), order},
		} {
			want, _ := cell(strings.ToValidUTF8(f.cell, "\ufffd"))
			if utf8.ValidString(f.cell) && f.got != want {
				t.Fatalf("cell %q became %q", f.cell, f.got)
			}
		}
		if !strings.HasPrefix(request.ID, Source+".") {
			t.Fatalf("id %q", request.ID)
		}
	})
}

// FuzzJournal: a journal is read to its last whole line, or refused.
func FuzzJournal(f *testing.F) {
	p := &Plan{Header: Header{V: journalVersion, Run: "r", File: "f"}, Summary: Summary{Rows: 2, Valid: 2}, batches: []planned{{Batch: 1, Take: [][2]uint32{{1, 2}}, Rows: 2, SHA256: "s"}}}
	var whole []byte
	for _, e := range []entry{{Header: &p.Header}, {Plan: &p.batches[0]}, {Summary: &p.Summary}, {Audit: &deactivation.Audit{Phase: "begin"}}, {Sent: &sent{Batch: 1, Accepted: 2}}} {
		var err error
		if whole, err = appendEntry(whole, e); err != nil {
			f.Fatal(err)
		}
		f.Add(whole)
	}
	f.Add(whole[:len(whole)-3])
	f.Add([]byte("00000000 {}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		s, err := readState(strings.NewReader(string(content)))
		if err != nil {
			if !errors.Is(err, ErrJournal) {
				t.Fatalf("%v is not ErrJournal", err)
			}
			return
		}
		if s.size > int64(len(content)) || s.size > 0 && content[s.size-1] != '\n' || s.plan != nil && s.sent > len(s.plan.batches) {
			t.Fatalf("state %+v", s)
		}
		again, err := readState(strings.NewReader(string(content[:s.size]))) // what an act leaves of it
		if err != nil || again.sent != s.sent || again.size != s.size {
			t.Fatalf("cut to its whole lines: %+v, %v", again, err)
		}
	})
}
