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
		"a duplicate":         {"order,note\n1001,a\n1001,b\n,\n1.2E+12,c\n", Columns{}, "order,note,product,license_key,hardware_id\n1001,a,XY,K1,hw1\n"},
	} {
		path := filepath.Join(t.TempDir(), "active.csv")
		if err := activeOf(t, c.content, c.columns, path, 1); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, read(t, path)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestTheActiveFileGoesOnAtAnyByte: a kill leaves whole rows, and what is torn is written again.
func TestTheActiveFileGoesOnAtAnyByte(t *testing.T) {
	t.Parallel()
	const content = "order,note\n1001,\"a, b\"\n1002,\n"
	path := filepath.Join(t.TempDir(), "active.csv")
	if err := activeOf(t, content, Columns{}, path, 1); err != nil {
		t.Fatal(err)
	}
	whole := read(t, path)
	for size := range len(whole) {
		left := whole[:size]
		write(t, path, left)
		from := []int{2, 2, 3, 4}[strings.Count(left, "\n")] // of the first row that the file has not
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
