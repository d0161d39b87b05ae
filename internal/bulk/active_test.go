package bulk

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// activeOf reads a file and adds one device for each of its rows from line on.
func activeOf(t *testing.T, content string, c Columns, path string, from int) error {
	t.Helper()
	input := filepath.Join(t.TempDir(), "export.csv")
	write(t, input, content)
	rows, err := OpenRows(input, c)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	f := rows.NewActiveFile(path)
	defer f.Close()
	for {
		row, err := rows.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			t.Fatal(err)
		case row.Line < from || row.Rejected != nil || row.Duplicate:
			continue
		}
		if err := f.Add(row, Found{"XY", "K1", "hw1"}); err != nil {
			return err
		}
	}
}

// TestTheActiveFileHasTheInputsColumnsAndTheDevice, and nothing that names something else.
func TestTheActiveFileHasTheInputsColumnsAndTheDevice(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		columns Columns
		want    string
	}{
		"nothing of it":       {"Order,Note\n1001,\"a, b\"\n", Columns{}, "Order,Note,product,license_key,hardware_id\n1001,\"a, b\",XY,K1,hw1\n"},
		"all of it":           {"sku;key;device;order\n;;;1001\nAB;K9;hw9;1002\n", Columns{}, "sku;key;device;order\nXY;K1;hw1;1001\nXY;K1;hw1;1002\n"},
		"another name":        {"Artikel,order\nAB,1001\n", Columns{Map: map[string]string{"Artikel": "product"}}, "Artikel,order,product,license_key,hardware_id\nXY,1001,XY,K1,hw1\n"},
		"an id and a user":    {"id,user,password,order\n7,jo,secret,1001\n", Columns{}, "id,user,password,order,product,license_key,hardware_id\n,,,1001,XY,K1,hw1\n"},
		"a rejected file":     {"order,line,reason\n1001,7,corrected\n", Columns{}, "order,product,license_key,hardware_id\n1001,XY,K1,hw1\n"},
		"a row that is short": {"order,note\n1001\n", Columns{}, "order,note,product,license_key,hardware_id\n1001,,XY,K1,hw1\n"},
		"ndjson":              {`{"order":["1001","x"],"note":1}` + "\n", Columns{}, "order,product,license_key,hardware_id\n1001,XY,K1,hw1\n"},
		"a column ignored":    {"order,disable,note\n1001,true,a\n", Columns{Map: map[string]string{"disable": ""}}, "order,note,product,license_key,hardware_id\n1001,a,XY,K1,hw1\n"},
		"another was chosen":  {"Order,License,Key 2,licnse_key\n1001,Pro,K9,x\n", Columns{Map: map[string]string{"Key 2": "license_key", "licnse_key": ""}}, "Order,Key 2,product,license_key,hardware_id\n1001,K1,XY,K1,hw1\n"},
		"a device is a key":   {"Device,order\nK9,1001\n", Columns{Map: map[string]string{"Device": "license_key"}}, "order,product,license_key,hardware_id\n1001,XY,K1,hw1\n"},
		"set":                 {"order\n1001\n", Columns{Set: map[string]string{"product": "AB", "cause": "refund", "disable": "true"}}, "order,cause,disable,product,license_key,hardware_id\n1001,refund,true,XY,K1,hw1\n"},
		"set, ndjson":         {`{"license_key":"K9"}` + "\n", Columns{Set: map[string]string{"order": "1001", "cause": "refund"}}, "order,cause,product,license_key,hardware_id\n1001,refund,XY,K1,hw1\n"},
		"a duplicate":         {"order,note\n1001,a\n1001,b\n,\n1.2E+12,c\n", Columns{}, "order,note,product,license_key,hardware_id\n1001,a,XY,K1,hw1\n"},
	} {
		path := filepath.Join(t.TempDir(), "active.csv")
		if err := activeOf(t, c.content, c.columns, path, 1); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, read(t, path)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		rows, err := OpenRows(path, Columns{})
		if err != nil {
			t.Fatalf("%s: it is no input: %v", name, err)
		}
		row, err := rows.Next()
		rows.Close()
		if r := row.Request; err != nil || row.Rejected != nil || r.Product != "XY" || r.LicenseKey != "K1" || r.HardwareID != "hw1" || r.Disable != (c.columns.Set["disable"] == "true") {
			t.Errorf("%s: as an input: %+v, %v", name, row, err)
		}
	}
}

// TestTheActiveFileGoesOnAtAnyByte: a kill leaves whole rows, and what is torn is written again.
func TestTheActiveFileGoesOnAtAnyByte(t *testing.T) {
	t.Parallel()
	const content = "order,note\n1001,\"a\nb\"\"\n\"\n1002,\n"
	path := filepath.Join(t.TempDir(), "active.csv")
	if err := activeOf(t, content, Columns{}, path, 1); err != nil {
		t.Fatal(err)
	}
	whole := read(t, path)
	if !strings.Contains(whole, "\n1001,\"a\nb\"\"\n\",XY") {
		t.Fatalf("no row with a line break in a cell:\n%s", whole)
	}
	for size := range len(whole) {
		left := whole[:size]
		write(t, path, left)
		from := 2 // of the first row that the file has not
		if size > strings.LastIndex(whole, "1002")-1 {
			from = 5
		}
		if err := activeOf(t, content, Columns{}, path, from); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if diff := cmp.Diff(whole, read(t, path)); diff != "" {
			t.Errorf("%d bytes: %s", size, diff)
		}
	}
	write(t, path, "other,columns\n1,2\n")
	if err := activeOf(t, content, Columns{}, path, 1); err == nil || read(t, path) != "other,columns\n1,2\n" {
		t.Errorf("another file: %v\n%s", err, read(t, path))
	}
}

// TestAValueFitsIfItIsReadAgainAsItIs: a device that is read as another one would be deactivated in its place.
func TestAValueFitsIfItIsReadAgainAsItIs(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"hw1": true, "00-1A": true, "a,b;c\"d": true, "漢": true, "-": true, "=hw": false, " hw": false, "hw\u00a0": false, "1.5E+10": false,
		"#N/A": false, "###": false, "a\nb": false, "": false, "\xff": false,
	} {
		if got := (Found{"XY", "K1", value}).Fits(); got != want {
			t.Errorf("%q: %v", value, got)
		}
		if want {
			path := filepath.Join(t.TempDir(), "row.csv")
			write(t, path, "license_key,hardware_id\nK1,\""+strings.ReplaceAll(value, "\"", "\"\"")+"\"\n")
			rows, err := OpenRows(path, Columns{})
			if err != nil {
				t.Fatal(err)
			}
			if row, err := rows.Next(); err != nil || row.Request.HardwareID != value {
				t.Errorf("%q is read as %q, %v", value, row.Request.HardwareID, err)
			}
			rows.Close()
		}
	}
}
