package bulk

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// Found is an active device of a license, as a row of a file names it.
type Found struct{ Product, LicenseKey, HardwareID string }

// ActiveFile writes rows with the devices that were found for them, as a file that is an input again: the input's own columns,
// and product, license_key and hardware_id where the input has none. Each row is on the disk once Add returns. Make it with
// Rows.NewActiveFile, and close it.
type ActiveFile struct {
	path   string
	header []string
	cells  []activeCell // by column of the header
	from   *Rows
	file   *os.File // nil until the first row
	n      int
}

// activeCell is what a column has.
type activeCell int

const (
	cellOwn   activeCell = iota // what the row has
	cellEmpty                   // nothing: the value would name something else than the device, or several rows would have one id
	cellProduct
	cellKey
	cellDevice
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
	for _, column := range f.header {
		c := activeCellOf(fields[column])
		f.cells = append(f.cells, c)
		if own, found := fieldOf(column); found && own.name == fields[column] {
			named[c] = true
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
	cells := make([]string, len(f.cells))
	for i, c := range f.cells {
		switch c {
		case cellOwn:
			if i < len(row.record.cells) {
				cells[i] = row.record.cells[i]
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

// cutTorn cuts off what a kill has left of a last row.
func (f *ActiveFile) cutTorn() error {
	size, err := f.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	end := make([]byte, min(size, maxRowBytes))
	if _, err := f.file.ReadAt(end, size-int64(len(end))); err != nil {
		return err
	}
	return f.file.Truncate(size - int64(len(end)) + int64(bytes.LastIndexByte(end, '\n')) + 1)
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
