package bulk

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// Found is an active device of a license, as a row of a file names it.
type Found struct{ Product, LicenseKey, HardwareID string }

// Fits reports whether a cell can hold the values, so that it is read again as they are: a reader cuts off white space, and
// refuses what looks like a value that a spreadsheet has destroyed.
func (f Found) Fits() bool {
	for _, value := range []string{f.Product, f.LicenseKey, f.HardwareID} {
		text, why := cell(value)
		if text != value || text == "" || why != "" || strings.ContainsAny(text, "\r\n") {
			return false
		}
	}
	return true
}

// ActiveFile writes rows with the devices that were found for them, as a file that is an input again: the input's own columns,
// and product, license_key and hardware_id where the input has none. Each row is on the disk once Add returns. Make it with
// Rows.NewActiveFile, and close it.
type ActiveFile struct {
	path    string
	header  []string
	cells   []activeCell // by column of the header
	columns []int        // of the input: of the first cells, each a column of the input
	set     []string     // values of --set, in the order of their cells
	from    *Rows
	file    *os.File // nil until the first row
	n       int
}

// activeCell is what a column has.
type activeCell int

const (
	cellOwn   activeCell = iota // what the row has
	cellEmpty                   // nothing: the value would name something else than the device, or several rows would have one id
	cellProduct
	cellKey
	cellDevice
	cellSet // the value of --set
)

// activeCellOf is the cell of a field.
func activeCellOf(field string) activeCell {
	switch field {
	case "product":
		return cellProduct
	case "license_key":
		return cellKey
	case "hardware_id":
		return cellDevice
	case "id", "row", "username", "password", "id_token", "code", "customer_account_code":
		return cellEmpty
	}
	return cellOwn
}

// NewActiveFile returns the file of a path. Nothing is written before the first row.
func (r *Rows) NewActiveFile(path string) *ActiveFile {
	f := &ActiveFile{path: path, from: r}
	fields := map[string]string{} // by column
	for _, c := range r.mapping.taken {
		fields[c.Name] = c.Field
	}
	if columns := r.records.columns(); columns != nil {
		f.header = slices.Clone(ownColumns(r.records))
	} else {
		f.header, fields["order"] = []string{"order"}, "order"
	}
	named := map[activeCell]bool{} // what a column has whose own name says so
	header := f.header
	f.header = nil
	for i, column := range header {
		own, found := fieldOf(column)
		_, isTypo := typoOf(column)
		if found && own.name != fields[column] || !found && isTypo {
			continue // without the flags of this command it would be that field
		}
		c := activeCellOf(fields[column])
		f.header, f.cells, f.columns = append(f.header, column), append(f.cells, c), append(f.columns, i)
		if found {
			named[c] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.mapping.columns.Set)) {
		if activeCellOf(name) == cellOwn && fields[name] == "" {
			f.header, f.set = append(f.header, name), append(f.set, r.mapping.columns.Set[name])
			f.cells = append(f.cells, cellSet)
		}
	}
	for _, needed := range []string{"product", "license_key", "hardware_id"} {
		if c := activeCellOf(needed); !named[c] {
			f.header, f.cells = append(f.header, needed), append(f.cells, c)
		}
	}
	return f
}

// Rows returns how many rows were added.
func (f *ActiveFile) Rows() int { return f.n }

// Add writes a row for a device that was found for it.
func (f *ActiveFile) Add(row Row, found Found) error {
	if f.file == nil {
		if err := f.open(); err != nil {
			return err
		}
	}
	cells, set := make([]string, len(f.cells)), f.set
	for i, c := range f.cells {
		switch c {
		case cellOwn:
			if row.record.cells != nil && f.columns[i] < len(row.record.cells) {
				cells[i] = row.record.cells[f.columns[i]]
			} else if row.record.cells == nil && i == 0 && len(row.Request.Order) > 0 { // of NDJSON
				cells[i] = row.Request.Order[0]
			}
		case cellEmpty:
		case cellProduct:
			cells[i] = found.Product
		case cellKey:
			cells[i] = found.LicenseKey
		case cellDevice:
			cells[i] = found.HardwareID
		case cellSet:
			cells[i], set = set[0], set[1:]
		}
	}
	f.n++
	return f.write(cells)
}

// open opens the file: a new one with a header, or one of an earlier command, to which rows are added.
func (f *ActiveFile) open() error {
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return f.failed(err)
	}
	f.file = file
	var header bytes.Buffer
	if err := f.encode(&header, f.header); err != nil {
		return f.failed(err)
	}
	start := make([]byte, header.Len())
	switch n, err := io.ReadFull(file, start); {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return f.failed(err)
	case err != nil && bytes.HasPrefix(header.Bytes(), start[:n]): // new, or a kill has torn the header
		if err := file.Truncate(0); err != nil {
			return f.failed(err)
		}
		return f.write(f.header)
	case err != nil || !bytes.Equal(start, header.Bytes()):
		return f.failed(errors.New("it has other columns than the rows that are to be added"))
	}
	return f.failed(f.cutTorn())
}

// cutTorn cuts off what a kill has left of a last row. A line break inside of quotes ends no row.
func (f *ActiveFile) cutTorn() error {
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	var whole, read int64
	quoted := false
	for in := bufio.NewReader(f.file); ; read++ {
		switch c, err := in.ReadByte(); {
		case errors.Is(err, io.EOF):
			return f.file.Truncate(whole)
		case err != nil:
			return err
		case c == '"':
			quoted = !quoted
		case c == '\n' && !quoted:
			whole = read + 1
		}
	}
}

func (f *ActiveFile) encode(to io.Writer, cells []string) error {
	w := csv.NewWriter(to)
	w.Comma = f.from.records.comma()
	if err := w.Write(cells); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

// write writes one row with one call and syncs it.
func (f *ActiveFile) write(cells []string) error {
	var row bytes.Buffer
	err := f.encode(&row, cells)
	if err == nil {
		_, err = f.file.Write(row.Bytes())
	}
	if err == nil {
		err = f.file.Sync()
	}
	return f.failed(err)
}

// Close closes the file.
func (f *ActiveFile) Close() {
	if f.file != nil {
		_ = f.file.Close() // every row was synced
	}
}

func (f *ActiveFile) failed(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("bulk: %s cannot be written: %w", f.path, err)
}
