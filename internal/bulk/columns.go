package bulk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
)

// Columns says what the columns of a file mean, beyond their own names.
type Columns struct {
	Map map[string]string // column to field; "" ignores the column
	Set map[string]string // field to the value that every row has
}

// check refuses unknown fields.
func (c Columns) check() error {
	for _, column := range slices.Sorted(maps.Keys(c.Map)) {
		if name := c.Map[column]; name != "" && !isField(name) {
			return fmt.Errorf("%w: --map %s=%s: there is no field %s; the fields are %s", ErrColumns, column, name, name, strings.Join(FieldNames(), ", "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Set)) {
		switch {
		case !isField(name) || name == "row":
			return fmt.Errorf("%w: --set %s: there is no such field; the fields are %s", ErrColumns, name, strings.Join(FieldNames(), ", "))
		case name == "id":
			return fmt.Errorf("%w: --set id: every request has an id of its own", ErrColumns)
		case strings.TrimSpace(c.Set[name]) == "":
			return fmt.Errorf("%w: --set %s= has no value", ErrColumns, name)
		}
	}
	return nil
}

func isField(name string) bool { return slices.Contains(FieldNames(), name) }

// problem is why a row cannot be sent, without a value of the row.
type problem struct{ code, message string }

func invalid(name, why string) *problem {
	return &problem{deactivation.CodeInvalidField, name + ": " + why}
}

// mapping makes the JSON object of a row from a record. Make it with newMapping.
type mapping struct {
	columns Columns
	set     []member // of --set, in JSON
	cells   []mapped // of CSV: each column with a field, fields in their order
	csv     bool
	members []csvMember // of CSV: what each row has, in the order of the names
	scratch []byte      // a row of CSV, before its length is known

	named map[string]field // of NDJSON: key to field, filled as keys appear
	used  map[string]bool  // columns of --map that exist
	// Used and ignored columns, in the order in which they appear.
	taken   []Column
	ignored []string
}

// Column is a column with the field that it is.
type Column struct {
	Name  string `json:"column"`
	Field string `json:"field"`
}

type mapped struct {
	field
	column int
}

type member struct {
	name  string
	value json.RawMessage
}

// csvMember is one member of the objects of a CSV file: a value of --set, or the columns of a field. Only the order may have
// several.
type csvMember struct {
	field
	key     string          // the name as JSON writes it, with the colon
	value   json.RawMessage // of --set
	columns []int
}

// newMapping decides which column of a header is which field. header is nil for NDJSON, whose keys are the columns.
func newMapping(c Columns, header []string) (*mapping, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	m := &mapping{columns: c, csv: header != nil, named: map[string]field{}, used: map[string]bool{}}
	for _, name := range slices.Sorted(maps.Keys(c.Set)) {
		f, _ := fieldOf(name)
		value, why := valueOf(f, strings.TrimSpace(c.Set[name]))
		if why != "" {
			return nil, fmt.Errorf("%w: --set %s: the value %s", ErrColumns, name, why)
		}
		m.set = append(m.set, member{name, value})
	}
	if !m.csv {
		return m, nil
	}
	for i, name := range header {
		f, found, err := m.fieldOf(name)
		switch {
		case err != nil:
			return nil, err
		case found:
			m.cells = append(m.cells, mapped{f, i})
		}
	}
	slices.SortStableFunc(m.cells, func(a, b mapped) int { return strings.Compare(a.name, b.name) })
	if err := m.checkHeader(header); err != nil {
		return nil, err
	}
	m.addMembers()
	return m, nil
}

// addMembers prepares rowOfCells.
func (m *mapping) addMembers() {
	for _, s := range m.set {
		m.members = append(m.members, csvMember{key: `"` + s.name + `":`, field: field{name: s.name}, value: s.value})
	}
	for i, c := range m.cells {
		if i > 0 && m.cells[i-1].name == c.name {
			last := &m.members[len(m.members)-1]
			last.columns = append(last.columns, c.column)
			continue
		}
		m.members = append(m.members, csvMember{key: `"` + c.name + `":`, field: c.field, columns: []int{c.column}})
	}
	slices.SortFunc(m.members, func(a, b csvMember) int { return strings.Compare(a.name, b.name) })
}

// writesRows reports whether the objects of row are its own work: each of their fields is one of FieldNames, once. A column of
// whole rows, and NDJSON, have the fields that they have.
func (m *mapping) writesRows() bool {
	return m.csv && !slices.ContainsFunc(m.members, func(c csvMember) bool { return c.kind == kindRow })
}

// checkHeader refuses a header from which no row can be made, or of which two columns would be one field.
func (m *mapping) checkHeader(header []string) error {
	for _, column := range slices.Sorted(maps.Keys(m.columns.Map)) {
		if !m.used[column] {
			return fmt.Errorf("%w: --map %s: the header has no such column; it has %s", ErrColumns, column, strings.Join(header, ", "))
		}
	}
	for i, c := range m.cells {
		if i > 0 && m.cells[i-1].name == c.name && c.kind != kindOrder {
			return fmt.Errorf("%w: the columns %s and %s are both %s; leave one out with --map COLUMN=", ErrColumns,
				header[m.cells[i-1].column], header[c.column], c.name)
		}
	}
	if len(m.cells) == 0 {
		return fmt.Errorf("%w: the first line has no column that is a field (%s); it must be a header, or name its columns with --map COLUMN=FIELD",
			ErrColumns, strings.Join(header, ", "))
	}
	return nil
}

// fieldOf returns the field of a column or key. A column that is none is listed as ignored.
func (m *mapping) fieldOf(column string) (f field, found bool, err error) {
	if name, isMapped := m.mapOf(column); isMapped {
		f, found = fieldOf(name)
	} else if f, found = fieldOf(column); found && m.isMapped(f.name) {
		found = false // another column was chosen for it
	} else if typo, isTypo := typoOf(column); !found && isTypo {
		return f, false, fmt.Errorf("%w: the column %s is probably %s; say so with --map %s=%s, or ignore it with --map %s=", ErrColumns,
			column, typo, column, typo, column)
	}
	if found && m.sets(f.name) {
		return f, false, fmt.Errorf("%w: %s is given by --set and by the column %s; leave one out (--map %s= ignores the column)", ErrColumns, f.name, column, column)
	}
	if found {
		m.taken = append(m.taken, Column{column, f.name})
	} else if column != "" {
		m.ignored = append(m.ignored, column)
	}
	return f, found, nil
}

// mapOf returns what --map says about a column.
func (m *mapping) mapOf(column string) (name string, found bool) {
	for mapped, name := range m.columns.Map {
		if mapped == column || plain(mapped) == plain(column) && !m.names(column) {
			m.used[mapped] = true
			return name, true
		}
	}
	return "", false
}

// names reports whether --map has exactly that column.
func (m *mapping) names(column string) bool { _, found := m.columns.Map[column]; return found }

// isMapped reports whether --map gives the field to a column. Several columns may be the order.
func (m *mapping) isMapped(name string) bool {
	for _, mapped := range m.columns.Map {
		if mapped == name {
			return true
		}
	}
	return false
}

func (m *mapping) sets(name string) bool { _, found := m.columns.Set[name]; return found }

// row returns the JSON object of a record.
func (m *mapping) row(r record) (json.RawMessage, *problem) {
	switch {
	case r.why != "":
		return nil, &problem{deactivation.CodeInvalidField, "row: " + r.why}
	case m.csv:
		return m.rowOfCells(r.cells)
	}
	return m.rowOfJSON(r.raw)
}

func (m *mapping) rowOfCells(cells []string) (json.RawMessage, *problem) {
	out := append(m.scratch[:0], '{')
	defer func() { m.scratch = out }()
	var whole json.RawMessage // of a column of whole rows
	for i := range m.members {
		c := &m.members[i]
		begin := len(out)
		out = append(out, c.key...)
		first, n := len(out), 0
		if c.value != nil {
			out, n = append(out, c.value...), 1
		}
		for _, column := range c.columns {
			if column >= len(cells) {
				continue
			}
			text, why := cell(cells[column])
			if why == "" && text == "" {
				continue
			}
			if n++; n == 2 {
				out = slices.Insert(out, first, '[')
			}
			if n > 1 {
				out = append(out, ',')
			}
			if why == "" {
				out, why = appendValue(out, c.field, text)
			}
			if why != "" {
				return nil, invalid(c.name, why)
			}
		}
		if n > 1 {
			out = append(out, ']')
		}
		switch {
		case n > 0 && c.kind == kindRow:
			whole = bytes.Clone(out[first:])
			out = out[:begin]
		case n > 0:
			out = append(out, ',')
		default:
			out = out[:begin]
		}
	}
	switch {
	case whole != nil && len(out) > 1:
		return nil, invalid("row", "is a whole row, and other columns or --set name fields, too; leave one out")
	case whole != nil:
		return whole, nil
	case len(out) > 1:
		out = out[:len(out)-1] // the last comma
	}
	out = append(out, '}')
	return bytes.Clone(out), nil
}

// rowOfJSON renames the keys of a JSON object. The body of a dead letter stays as it is, also inside of a message as
// `aws sqs receive-message` prints it.
func (m *mapping) rowOfJSON(raw string) (json.RawMessage, *problem) {
	fields, err := deactivation.ReadFields([]byte(raw), func(string) bool { return true })
	if twice, ok := errors.AsType[*deactivation.FieldError](err); ok {
		return nil, &problem{twice.Code, twice.Error()}
	}
	if err != nil || !json.Valid([]byte(raw)) {
		return nil, invalid("row", "is not a JSON object")
	}
	if body, isMessage := fields["Body"]; isMessage && fields["MessageId"] != nil {
		var text string
		if json.Unmarshal(body, &text) != nil {
			return nil, invalid("Body", "is not a text")
		}
		return m.letter([]byte(text))
	}
	if _, isLetter := fields["v"]; isLetter {
		return m.letter([]byte(raw))
	}
	members := slices.Clone(m.set)
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		f, seen := m.named[key]
		if !seen {
			var found bool
			if f, found, err = m.fieldOf(key); err != nil {
				return nil, invalid(deactivation.CleanText(key), strings.TrimPrefix(err.Error(), ErrColumns.Error()+": "))
			}
			if !found {
				f = field{}
			}
			m.named[key] = f
		}
		if f.name == "" {
			continue
		}
		if f.kind == kindRow {
			return nil, invalid(deactivation.CleanText(key), "is for a column of a CSV file; write the row itself")
		}
		value := fields[key]
		var text string
		if json.Unmarshal(value, &text) == nil {
			if why := spoiled(strings.TrimSpace(text)); why != "" {
				return nil, invalid(f.name, why)
			}
		}
		if f.kind != kindOrder && slices.ContainsFunc(members, func(m member) bool { return m.name == f.name }) {
			return nil, invalid(f.name, "is given by two keys; leave one out with --map KEY=")
		}
		members = append(members, member{f.name, value})
	}
	return object(members), nil
}

// letter returns the body of a dead letter.
func (m *mapping) letter(body []byte) (json.RawMessage, *problem) {
	if !json.Valid(body) {
		return nil, invalid("Body", "is not JSON")
	}
	if len(m.set) > 0 {
		return nil, invalid(m.set[0].name, "is given by --set, and the row is a dead letter, which is sent unchanged")
	}
	return bytes.TrimSpace(body), nil
}

// valueOf returns a text as the JSON value of a field.
func valueOf(f field, text string) (value json.RawMessage, why string) {
	return appendValue(nil, f, text)
}

// appendValue appends a text as the JSON value of a field.
func appendValue(to []byte, f field, text string) (value []byte, why string) {
	switch f.kind {
	case kindBoolean:
		switch strings.ToLower(text) {
		case "true", "false":
			return append(to, strings.ToLower(text)...), ""
		}
		return to, "must be true or false"
	case kindObject, kindRow:
		if !json.Valid([]byte(text)) || text[0] != '{' {
			return to, "must be a JSON object"
		}
		return append(to, text...), ""
	case kindTime:
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t, err = time.Parse(time.DateOnly, text)
		}
		if err != nil {
			return to, "must be a time such as 2026-11-29T12:00:00Z, or a date such as 2026-11-29"
		}
		text = t.Format(time.RFC3339)
	}
	return appendQuoted(to, text), ""
}

// appendQuoted appends a text in JSON.
func appendQuoted(to []byte, text string) []byte {
	if isPlainASCII(text) { // nearly every cell; the encoder takes ten times as long
		return append(append(append(to, '"'), text...), '"')
	}
	out := bytes.NewBuffer(to)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text)                               //nolint:errchkjson // a string cannot fail
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")) // Encode ends a line
}

// isPlainASCII reports whether JSON writes a text as it is.
func isPlainASCII(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// object writes members as a JSON object. Values with the same name become a list.
func object(members []member) json.RawMessage {
	slices.SortStableFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	size := 2
	for _, m := range members {
		size += len(m.name) + len(m.value) + len(`"":,`)
	}
	out := append(make([]byte, 0, size), '{')
	for i := 0; i < len(members); {
		same := i + 1
		for same < len(members) && members[same].name == members[i].name {
			same++
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, '"'), members[i].name...)
		out = append(out, '"', ':')
		if same == i+1 {
			out = append(out, members[i].value...)
		} else {
			out = append(out, '[')
			for n := i; n < same; n++ {
				if n > i {
					out = append(out, ',')
				}
				out = append(out, members[n].value...)
			}
			out = append(out, ']')
		}
		i = same
	}
	return append(out, '}')
}
