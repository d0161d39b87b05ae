package bulk

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
)

// rowsOf returns the rows of a file as JSON, or why one is rejected with its line.
func rowsOf(t *testing.T, content string, c Columns) (rows []string, ignored []string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, content)
	in, err := openInput(path)
	if err != nil {
		return nil, nil, err
	}
	defer in.close()
	from, err := newRecordReader(in)
	if err != nil {
		return nil, nil, err
	}
	m, err := newMapping(c, from.columns())
	if err != nil {
		return nil, nil, err
	}
	for {
		r, err := from.next()
		if errors.Is(err, io.EOF) {
			return rows, m.ignored, nil
		}
		if err != nil {
			return nil, nil, err
		}
		row, why := m.row(r)
		if why != nil {
			rows = append(rows, itoa(r.line)+" "+why.code+" "+why.message)
			continue
		}
		rows = append(rows, string(row))
	}
}

const one = `{"hardware_id":"hw1","license_key":"K1","product":"XY"}`

func utf16le(text string) string {
	out := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return string(out)
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestFilesOfEveryFormGiveTheSameRows(t *testing.T) {
	t.Parallel()
	const plain = "product,license_key,hardware_id\nXY,K1,hw1\n"
	for name, content := range map[string]string{
		"plain":                      plain,
		"a byte order mark":          "\ufeff" + plain,
		"CRLF":                       strings.ReplaceAll(plain, "\n", "\r\n"),
		"no line break at the end":   strings.TrimSpace(plain),
		"gzip":                       gzipped(t, plain),
		"gzip with a mark":           gzipped(t, "\ufeff"+plain),
		"UTF-16, as Excel's text":    utf16le(strings.ReplaceAll(plain, ",", "\t")),
		"semicolons":                 strings.ReplaceAll(plain, ",", ";"),
		"tabs":                       strings.ReplaceAll(plain, ",", "\t"),
		"bars":                       strings.ReplaceAll(plain, ",", "|"),
		"Excel's own first line":     "sep=;\r\n" + strings.ReplaceAll(plain, ",", ";"),
		"quoted":                     "\"product\",\"license_key\",\"hardware_id\"\n\"XY\",\"K1\",\"hw1\"\n",
		"a delimiter in a quote":     "product;\"a,b,c,d,e\";license_key;hardware_id\nXY;\"1,2\";K1;hw1\n",
		"other names":                "Product Code,License Key,Device-ID\nXY,K1,hw1\n",
		"blanks":                     "product , license_key,hardware_id\n XY,\tK1 ,\u00a0hw1\n",
		"Excel's texts":              "product,license_key,hardware_id\n=\"XY\",\"=\"\"K1\"\"\",=\"hw1\"\n",
		"empty rows":                 "product,license_key,hardware_id\n\n,,\nXY,K1,hw1\n,,\n\n",
		"a cell too many, empty":     "product,license_key,hardware_id\nXY,K1,hw1,,\n",
		"a cell too few":             "product,license_key,hardware_id,note\nXY,K1,hw1\n",
		"NDJSON":                     `{"product":"XY","license_key":"K1","hardware_id":"hw1"}` + "\n",
		"NDJSON with other names":    "\n" + `{"Product":"XY","key":"K1","hwid":"hw1","amount":12}`,
		"NDJSON, gzip, CRLF, mark":   gzipped(t, "\ufeff"+`{"product":"XY","license_key":"K1","hardware_id":"hw1"}`+"\r\n"),
		"a row in a column":          "row,note\n\"{\"\"hardware_id\"\":\"\"hw1\"\",\"\"license_key\"\":\"\"K1\"\",\"\"product\"\":\"\"XY\"\"}\",x\n",
		"lines and reasons, as ours": "product,license_key,hardware_id,line,reason\nXY,K1,hw1,7,missing_field: product\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, _, err := rowsOf(t, content, Columns{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{one}, rows); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRowsThatCannotBeReadAreRejectedWithLineAndReason(t *testing.T) {
	t.Parallel()
	const header = "product,license_key,hardware_id,order\n"
	for name, c := range map[string]struct{ content, want string }{
		"scientific":                            {header + "XY,1.23457E+15,hw1,\n", "2 invalid_field license_key: is a number in scientific notation, whose last digits are lost; format the column as text and export it again"},
		"scientific, a comma":                   {header + "XY,K1,hw1,\"1,2E+11\"\n", "2 invalid_field order: is a number in scientific notation, whose last digits are lost; format the column as text and export it again"},
		"LibreOffice":                           {header + "XY,K1,hw1,1.5e+011\n", "2 invalid_field order: is a number in scientific notation, whose last digits are lost; format the column as text and export it again"},
		"a formula's error":                     {header + "XY,K1,#REF!,\n", "2 invalid_field hardware_id: is the error of a formula; correct the formula and export it again"},
		"a formula":                             {header + "XY,=A1,hw1,\n", "2 invalid_field license_key: is a formula; export values"},
		"too narrow":                            {header + "XY,K1,hw1,########\n", "2 invalid_field order: is what a spreadsheet shows for a column that is too narrow; widen it and export it again"},
		"too many cells":                        {header + "\nXY,K1,hw1,1,2\n", "3 invalid_field row: has 5 cells, and the header has 4; put a value that holds the delimiter into quotes"},
		"a quote in a value":                    {header + "XY,K\"1,hw1,\n", "2 invalid_field row: has a quote in a place where none may be; write it twice inside of quotes"},
		"an open quote behind a text":           {"product,license_key,note,hardware_id\nXY,=\"K1\",\"first\nsecond\",hw1\n", "2 invalid_field row: has a quote in a place where none may be; write it twice inside of quotes"},
		"an open quote":                         {header + "XY,\"K1,hw1,1\nXY,K2,hw2,2\n", "2 invalid_field row: has a quoted value that does not end with its closing quote; the row takes 2 lines"},
		"an open quote in a column of no field": {"license_key,note\nK1,\"5 inch\nK2,x\nK3,\"y\"\nK4,\n", "2 invalid_field row: has a quoted value that does not end with its closing quote; the row takes 3 lines"},
		"rows inside of a quote":                {"license_key,note\nK1,\"5 inch\nK2,x\nK3,\"\n", "2 invalid_field row: has a value of 3 lines, one of which looks like a row; is a closing quote missing?"},
		"not JSON":                              {"{\"product\":\"XY\"\n", "1 invalid_field row: is not a JSON object"},
		"a key twice":                           {`{"product":"XY","product":"XZ"}`, "1 invalid_field product: appears twice"},
		"two keys of a field":                   {`{"license_key":"K1","license":"K2"}`, "1 invalid_field license_key: is given by two keys; leave one out with --map KEY="},
		"a mistyped key":                        {`{"license_key":"K1","hardware_di":"hw1"}`, "1 invalid_field hardware_di: the column hardware_di is probably hardware_id; say so with --map hardware_di=hardware_id, or ignore it with --map hardware_di="},
		"scientific in NDJSON":                  {`{"license_key":"1.2E+12"}`, "1 invalid_field license_key: is a number in scientific notation, whose last digits are lost; format the column as text and export it again"},
		"Windows-1252":                          {"username,hardware_id\nJ\xfcrgen,hw1\n", "2 invalid_field username: holds bytes that are not UTF-8; save the file as CSV UTF-8"},
		"Windows-1252 in NDJSON":                {"{\"username\":\"J\xfcrgen\"}\n", "1 invalid_field username: holds bytes that are not UTF-8; save the file as CSV UTF-8"},
		"a time":                                {"license_key,occurred_at\nK1,soon\n", "2 invalid_field occurred_at: must be a time such as 2026-11-29T12:00:00Z, or a date such as 2026-11-29"},
		"a row and a cell":                      {"row,product\n{},XY\n", "2 invalid_field row: is a whole row, and other columns or --set name fields, too; leave one out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, _, err := rowsOf(t, c.content, Columns{})
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) > 1 {
				rows = rows[:1]
			}
			if diff := cmp.Diff([]string{c.want}, rows); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestValuesThatOnlyLookLikeNumbersPass: hexadecimal ids and keys with leading zeros are not what a spreadsheet spoils.
func TestValuesThatOnlyLookLikeNumbersPass(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"5e12", "1E10", "00123", "12345678901234567890", "1.5", "E+10", "12E+10", "-", "#1001", "1E+1"} {
		rows, _, err := rowsOf(t, "license_key\n"+value+"\n", Columns{})
		want, _ := json.Marshal(map[string]string{"license_key": value})
		if err != nil || len(rows) != 1 || rows[0] != string(want) {
			t.Errorf("%s: %q, %v", value, rows, err)
		}
	}
}

func TestAFileThatCannotBeReadIsRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	valid := gzipped(t, csvOf(1000))
	for name, c := range map[string]struct{ content, want string }{
		"empty":           {"", "bulk: the file cannot be read: it is empty"},
		"blank":           {" \r\n\r\n", "bulk: the file cannot be read: it is empty"},
		"a JSON list":     {`[{"product":"XY"}]`, "bulk: the file cannot be read: it is a JSON list; write one object on each line, for example with jq -c '.[]'"},
		"a spreadsheet":   {"PK\x03\x04\x00\x00", "bulk: the file cannot be read: it is not text; save a spreadsheet as CSV UTF-8"},
		"half of a gzip":  {valid[:len(valid)/2], "bulk: the file cannot be read: unexpected EOF"},
		"a quote, open":   {"license_key\nK1\n\"K2\n" + strings.Repeat("XY,K1\n", maxRowBytes/4), "bulk: the file cannot be read: after line 2 a row is longer than 1048576 bytes; is a closing quote missing?"},
		"a long line":     {`{"license_key":"` + strings.Repeat("x", maxRowBytes) + `"}`, "bulk: the file cannot be read: line 1 is longer than 1048576 bytes"},
		"a bad separator": {"sep=:\nproduct:license_key\n", `bulk: the file cannot be read: its first line "sep=:" names no delimiter that is known; delete the line`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := rowsOf(t, c.content, Columns{})
			if !errors.Is(err, ErrFile) || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
	if _, err := openInput(t.TempDir()); !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "it is a folder") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := openInput(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrFile) {
		t.Errorf("no file: %v", err)
	}
}

func TestColumnsAreMappedAsTheFlagsSay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		columns Columns
		want    []string
		ignored []string
	}{
		"a column of another name": {"Artikel,key,hwid\nXY,K1,hw1\n", Columns{Map: map[string]string{"Artikel": "product"}}, []string{one}, nil},
		"in another case":          {"ARTIKEL,key,hwid\nXY,K1,hw1\n", Columns{Map: map[string]string{"artikel": "product"}}, []string{one}, nil},
		"set":                      {"key,hwid\nK1,hw1\n", Columns{Set: map[string]string{"product": "XY"}}, []string{one}, nil},
		"set in NDJSON":            {`{"key":"K1","hwid":"hw1"}`, Columns{Set: map[string]string{"product": "XY"}}, []string{one}, nil},
		"a mapped column wins":     {"product,code2,key,hwid\nno,XY,K1,hw1\n", Columns{Map: map[string]string{"code2": "product"}}, []string{one}, []string{"product"}},
		"ignored":                  {"product,key,hwid,email,order\nXY,K1,hw1,jo@example.com,7\n", Columns{Map: map[string]string{"order": ""}}, []string{one}, []string{"email", "order"}},
		"two orders": {"key,order,Invoice\nK1,7,8\n", Columns{Map: map[string]string{"Invoice": "order", "order": "order"}},
			[]string{`{"license_key":"K1","order":["7","8"]}`}, nil},
		"types": {"key,is_vm,license_id,variables,occurred_at\nK1,TRUE,12,\"{\"\"a\"\":1}\",2026-11-29\n", Columns{},
			[]string{`{"is_vm":true,"license_id":"12","license_key":"K1","occurred_at":"2026-11-29T00:00:00Z","variables":{"a":1}}`}, nil},
		"a mapped key in NDJSON": {`{"sku2":"XY","license_key":"K1","hardware_id":"hw1"}`, Columns{Map: map[string]string{"sku2": "product"}}, []string{one}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, ignored, err := rowsOf(t, c.content, c.columns)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, rows); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.ignored, ignored); diff != "" {
				t.Errorf("ignored: %s", diff)
			}
		})
	}
}

func TestColumnsThatCannotBeMappedAreAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		columns Columns
		want    string
	}{
		"no field at all":   {"a,b\n1,2\n", Columns{}, "the first line has no column that is a field (a, b); it must be a header, or name its columns with --map COLUMN=FIELD"},
		"two of one field":  {"license,license_key\nK1,K2\n", Columns{}, "the columns license and license_key are both license_key; leave one out with --map COLUMN="},
		"a mistyped column": {"license_key,hardware_idd\nK1,hw1\n", Columns{}, "the column hardware_idd is probably hardware_id; say so with --map hardware_idd=hardware_id, or ignore it with --map hardware_idd="},
		"no such column":    {"license_key\nK1\n", Columns{Map: map[string]string{"sku": "product"}}, "--map sku: the header has no such column; it has license_key"},
		"no such field":     {"license_key\nK1\n", Columns{Map: map[string]string{"sku": "article"}}, "--map sku=article: there is no field article; the fields are product, license_key, "},
		"set and a column":  {"product,license_key\nXY,K1\n", Columns{Set: map[string]string{"product": "XY"}}, "product is given by --set and by the column product; leave one out (--map product= ignores the column)"},
		"set of an id":      {"license_key\nK1\n", Columns{Set: map[string]string{"id": "1"}}, "--set id: every request has an id of its own"},
		"set of nothing":    {"license_key\nK1\n", Columns{Set: map[string]string{"product": " "}}, "--set product= has no value"},
		"set of no field":   {"license_key\nK1\n", Columns{Set: map[string]string{"article": "x"}}, "--set article: there is no such field; the fields are product, "},
		"set of a time":     {"license_key\nK1\n", Columns{Set: map[string]string{"occurred_at": "x"}}, "--set occurred_at: the value must be a time such as"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := rowsOf(t, c.content, c.columns)
			if !errors.Is(err, ErrColumns) || !strings.HasPrefix(err.Error(), "bulk: columns: "+c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestALetterIsARow: the body of a dead letter, and a message around it as `aws sqs receive-message` prints it, stay
// unchanged.
func TestALetterIsARow(t *testing.T) {
	t.Parallel()
	const letter = `{"v":1,"id":"stripe.evt_1.0","action":"deactivate_license","source":"stripe","cause":"refund","product":"XY","license_key":"K1","hardware_id":"hw1"}`
	message, _ := json.Marshal(map[string]any{"MessageId": "m1", "Body": letter, "ReceiptHandle": "r"})
	for name, content := range map[string]string{"a body": letter, "a message": string(message)} {
		rows, _, err := rowsOf(t, content, Columns{})
		if err != nil || len(rows) != 1 || rows[0] != letter {
			t.Errorf("%s: %q, %v", name, rows, err)
		}
	}
	const both = "1 invalid_field row: is a whole row, and other columns or --set name fields, too; leave one out"
	quoted := `"` + strings.ReplaceAll(letter, `"`, `""`) + `"`
	for _, content := range []string{"row,product\n" + quoted + ",XZ\n", "username,row\njo," + quoted + "\n"} {
		if rows, _, err := rowsOf(t, content, Columns{}); err != nil || len(rows) != 1 || !strings.HasSuffix(rows[0], both[1:]) {
			t.Errorf("%s: %q, %v", content, rows, err)
		}
	}
	rows, _, err := rowsOf(t, letter, Columns{Set: map[string]string{"product": "XZ"}})
	if err != nil || len(rows) != 1 || rows[0] != "1 invalid_field product: is given by --set, and the row is a dead letter, which is sent unchanged" {
		t.Errorf("with --set: %q, %v", rows, err)
	}
}

// TestEveryFieldOfAColumnIsAFieldOfARow: the row reader of a direct invocation knows it.
func TestEveryFieldOfAColumnIsAFieldOfARow(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, f := range fields() {
		if _, err := deactivation.ReadRow([]byte(`{"` + f.name + `":null}`)); f.kind != kindRow && err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
		for _, name := range append([]string{f.name}, f.aliases...) {
			if names[plain(name)] {
				t.Errorf("%s names two fields", name)
			}
			names[plain(name)] = true
		}
	}
}
