package bulk

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
)

// Columns that the file of rejected rows has after the input's own. The file is an input again once its rows are
// corrected: no field takes these columns.
const (
	lineColumn   = "line"
	reasonColumn = "reason"
)

// rawColumn is the input's own column where the input has none.
const rawColumn = "row"

// rejectedFile writes rejected rows in the input's own columns, with line and reason.
type rejectedFile struct {
	path    string
	columns int // of the input; without line and reason if the input is itself such a file
	csv     *csv.Writer
	buffer  *bufio.Writer
	file    *os.File
	n       int64 // bytes written
}

func newRejectedFile(path string, rows recordReader) *rejectedFile {
	f := &rejectedFile{path: path, columns: len(ownColumns(rows))}
	f.buffer = bufio.NewWriter(f)
	f.csv = csv.NewWriter(f.buffer)
	f.csv.Comma = rows.comma()
	return f
}

// ownColumns are the columns of the input.
func ownColumns(rows recordReader) []string {
	columns := rows.columns()
	if columns == nil {
		return []string{rawColumn}
	}
	if n := len(columns); n > 2 && columns[n-2] == lineColumn && columns[n-1] == reasonColumn {
		return columns[:n-2]
	}
	return columns
}

// create begins the file anew, under a name of its own until keep.
func (f *rejectedFile) create(rows recordReader) error {
	file, err := os.OpenFile(f.temporary(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return f.failed(err)
	}
	f.file = file
	return f.failed(f.csv.Write(append(slices.Clone(ownColumns(rows)), lineColumn, reasonColumn)))
}

func (f *rejectedFile) temporary() string { return f.path + ".tmp" }

// keep gives the file its name, and removes it if no row was rejected. It returns the file's size.
func (f *rejectedFile) keep(rows int) (int64, error) {
	if err := f.sync(); err != nil {
		return 0, err
	}
	if err := f.file.Close(); err != nil {
		return 0, f.failed(err)
	}
	f.file = nil
	if rows > 0 {
		return f.n, f.failed(os.Rename(f.temporary(), f.path))
	}
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, f.failed(err)
	}
	return 0, f.failed(os.Remove(f.temporary()))
}

// resume opens the file to append to it. It cuts off what was written after the journal's last line.
func (f *rejectedFile) resume(rows recordReader, size int64) error {
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return f.failed(err)
	}
	f.file = file
	end, err := file.Seek(0, io.SeekEnd)
	if err == nil && end > size {
		err = file.Truncate(size)
		end = size
	}
	if err == nil {
		f.n, err = file.Seek(end, io.SeekStart)
	}
	if err == nil && f.n == 0 {
		err = f.csv.Write(append(slices.Clone(ownColumns(rows)), lineColumn, reasonColumn))
	}
	return f.failed(err)
}

// add writes one row.
func (f *rejectedFile) add(r record, p problem) error {
	cells := slices.Clone(r.cells)
	if cells == nil {
		cells = []string{r.raw}
	}
	if len(cells) > f.columns && r.why == "" {
		cells = cells[:f.columns] // the others are empty, or the line and reason of an earlier run
	}
	for len(cells) < f.columns {
		cells = append(cells, "")
	}
	return f.failed(f.csv.Write(append(cells, strconv.Itoa(r.line), p.code+": "+p.message)))
}

// sync writes everything to the disk.
func (f *rejectedFile) sync() error {
	f.csv.Flush()
	return f.failed(errors.Join(f.csv.Error(), f.buffer.Flush(), f.file.Sync()))
}

func (f *rejectedFile) close() {
	if f.file != nil {
		_ = f.file.Close()
	}
}

// Write implements io.Writer for the buffer: it counts.
func (f *rejectedFile) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	f.n += int64(n)
	return n, err
}

func (f *rejectedFile) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("bulk: the file of rejected rows cannot be written: %w", err)
}
