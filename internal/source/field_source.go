package source

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/expression"
)

// fieldSource is a place that may hold license fields: an object, a list of objects, a list of name-value pairs, or one
// field.
type fieldSource struct {
	objects     *expression.Expression
	pairs       *expression.Expression // with name and value, or the object's own keys
	name, value string                 // keys of a pair; name "": the object's own keys; value "" as well: their values are not wrapped
	field       string                 // one field of the License API, by the expression in objects
	json        bool                   // the value of objects is a text that holds a JSON object
	buyer       bool                   // a buyer can write it
}

// licenseFieldNames are the fields that a file may read one by one.
func licenseFieldNames() []string {
	return []string{"license_key", "hardware_id", "product", "username", "license_id", "bundle_code"}
}

// spellings are the names under which a field is read in a sender's free data. No other name is read: a store's own
// `code` or `ip` would be read as the License API's.
func spellings(field string) []string {
	if field == "product" {
		return []string{"product", "product_code", "product_short_code"}
	}
	return []string{field}
}

// isSpelling reports whether a name is one of the spellings of a license field.
func isSpelling(name string) bool {
	switch name {
	case "license_key", "hardware_id", "product", "product_code", "product_short_code", "username", "license_id", "bundle_code":
		return true
	}
	return false
}

// readFields reads the sources in order; for each field the first source that has it counts, and later ones are not
// read for it. It returns a license for each object that names one. If no object does, it returns a single license with
// the fields that were found.
func readFields(sources []fieldSource, f facts) []licenseFields {
	licenses := []licenseFields{{}}
	for _, s := range sources {
		if !slices.ContainsFunc(licenses, func(l licenseFields) bool { return !l.complete() }) {
			break
		}
		licenses = newPlace(s.read(f)).readOn(licenses)
	}
	return licenses
}

// read returns the fields of each of the source's objects. A source that cannot be read has a problem in every field.
func (s fieldSource) read(f facts) []licenseFields {
	objects, err := s.find(f.Tree)
	if err == nil && len(objects) > maxObjects {
		err = errTooManyObjects
	}
	if err != nil {
		var unread licenseFields
		for g := range unread.problems {
			unread.problems[g] = err
		}
		return []licenseFields{unread}
	}
	fields := make([]licenseFields, 0, len(objects))
	for _, object := range objects {
		l := fieldsOf(object)
		l.buyer = s.buyer
		if f.trace != nil {
			l.from = s.origins(l, object, f.line)
		}
		fields = append(fields, l)
	}
	return fields
}

// find returns the source's objects, each with spellings of license fields as keys.
func (s fieldSource) find(t expression.Tree) ([]map[string]any, error) {
	expr := s.objects
	if s.pairs != nil {
		expr = s.pairs
	}
	result, err := expr.Value(t)
	if err != nil || result == nil {
		return nil, err
	}
	if s.field != "" {
		return []map[string]any{{s.field: result}}, nil
	}
	if s.json {
		result, err = parsedObject(result)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", oneLine(expr.String()), err)
		}
	}
	if s.pairs != nil && s.name != "" {
		object, err := s.fromPairs(result)
		if err != nil {
			return nil, err
		}
		return []map[string]any{object}, nil
	}
	var objects []map[string]any
	for _, item := range expression.List(result) {
		if object, ok := item.(map[string]any); ok {
			objects = append(objects, s.unwrap(object))
		}
	}
	return objects, nil
}

// parsedObject reads a text that holds a JSON object, as in PayPal's custom_id. Any other text is a vendor's own and holds no
// license data.
func parsedObject(value any) (any, error) {
	text, ok := value.(string)
	if !ok || !strings.HasPrefix(strings.TrimSpace(text), "{") {
		return nil, nil //nolint:nilnil // no object is no error
	}
	tree, err := expression.ReadJSON([]byte(text))
	if err != nil {
		return nil, errors.New("a text that begins as a JSON object and is none")
	}
	return tree.Exact, nil
}

// twoValues is the value of a name that a list of pairs holds twice with different values.
type twoValues struct{}

// errNoPairs: the place of name-value pairs holds another value, which may name a license in an unknown form. If it
// counted as no data, the order's license would be used for the line, and a paid line would keep no license.
var errNoPairs = errors.New("a value that is not a list of name-value pairs is in place of one")

// fromPairs makes an object from [{name: …, value: …}, …]. It also accepts a single pair, and an empty object or text:
// shops send these in place of a list.
func (s fieldSource) fromPairs(result any) (map[string]any, error) {
	object := map[string]any{}
	if isEmpty(result) {
		return object, nil
	}
	for _, item := range expression.List(result) {
		pair, ok := item.(map[string]any)
		if _, named := pair[s.name]; !ok || !named && !isList(result) {
			return nil, fmt.Errorf("%s: %w", oneLine(s.pairs.String()), errNoPairs)
		}
		name, _ := pair[s.name].(string)
		if !isSpelling(name) {
			continue
		}
		if before, twice := object[name]; twice && !reflect.DeepEqual(before, pair[s.value]) {
			object[name] = twoValues{}
			continue
		}
		object[name] = pair[s.value]
	}
	return object, nil
}

// isEmpty reports whether a value is an empty object or text.
func isEmpty(value any) bool {
	object, isObject := value.(map[string]any)
	return isObject && len(object) == 0 || value == ""
}

func isList(value any) bool {
	_, ok := value.([]any)
	return ok
}

// unwrap reads {license_key: {value: …}} as {license_key: …} when the file has pairs with a value and without a name.
func (s fieldSource) unwrap(object map[string]any) map[string]any {
	if s.pairs == nil || s.value == "" {
		return object
	}
	out := map[string]any{}
	for key, item := range object {
		if wrapped, ok := item.(map[string]any); ok && isSpelling(key) {
			out[key] = wrapped[s.value]
		}
	}
	return out
}

// fieldsOf reads the fields of one object.
func fieldsOf(object map[string]any) licenseFields {
	var l licenseFields
	var keyErr, userErr, idErr error
	l.licenseKeys, keyErr = several(object, "license_key", splitKeys)
	l.username, userErr = one(object, "username")
	l.licenseID, idErr = one(object, "license_id")
	l.problems[identityGroup] = cmp.Or(keyErr, userErr)
	if l.identified() { // an id without a key or user names no license
		l.problems[identityGroup] = cmp.Or(l.problems[identityGroup], idErr)
	}
	if len(l.licenseKeys) > 0 && l.username != "" && l.problems[identityGroup] == nil {
		l.problems[identityGroup] = errors.New("license_key and username name two licenses; one of them is needed")
	}
	l.hardwareIDs, l.problems[deviceGroup] = several(object, "hardware_id", splitDevices)
	l.product, l.problems[productGroup] = one(object, "product")
	l.bundleCode, l.problems[bundleGroup] = one(object, "bundle_code")
	return l
}

// one reads a field with a single value, under the first of its spellings that the object has.
func one(object map[string]any, field string) (string, error) {
	for _, name := range spellings(field) {
		got, err := scalar(object[name])
		if err == nil {
			err = deactivation.CheckText(name, got)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		if strings.TrimSpace(got) != "" {
			return got, nil
		}
	}
	return "", nil
}

// scalar is expression.Scalar for a value that may be named twice.
func scalar(value any) (string, error) {
	if _, twice := value.(twoValues); twice {
		return "", errors.New("it is named twice with different values")
	}
	return expression.Scalar(value)
}

// splitKeys and splitDevices split a text with several names. License keys hold no comma; a hardware id may hold one
// (MacBookPro16,1), but no line break or semicolon.
func splitKeys(text string) []string { return strings.Split(text, ",") }

func splitDevices(text string) []string {
	return strings.FieldsFunc(strings.ReplaceAll(text, "\r\n", "\n"), func(r rune) bool { return r == '\n' || r == ';' })
}

// several reads a field that may be a list, or a text with several names. It removes blanks around the parts, empty
// parts and repeats.
func several(object map[string]any, field string, split func(string) []string) ([]string, error) {
	var parts []string
	switch v := object[field].(type) {
	case []any:
		for _, item := range v {
			part, err := scalar(item)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", field, err)
			}
			parts = append(parts, part)
		}
	case string:
		parts = split(v)
	default:
		part, err := scalar(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field, err)
		}
		parts = []string{part}
	}
	out := parts[:0]
	for _, part := range parts {
		part = strings.Trim(part, " ")
		if part == "" {
			continue
		}
		if err := deactivation.CheckText(field, part); err != nil {
			return nil, err
		}
		out = append(out, part)
	}
	if out = distinct(out); len(out) > maxNames {
		return nil, errTooManyNames
	}
	return out, nil
}

// origins returns where the fields of the object are. It is only called for a trace.
func (s fieldSource) origins(l licenseFields, object map[string]any, line int) origins {
	from := origins{}
	for field, is := range map[string]bool{
		"license_key": len(l.licenseKeys) > 0, "hardware_id": len(l.hardwareIDs) > 0, "username": l.username != "",
		"license_id": l.licenseID != "", "product": l.product != "", "bundle_code": l.bundleCode != "",
	} {
		if is {
			from[field] = []Origin{{s.describe(field, object), line}}
		}
	}
	return from
}

// describe returns where in the source a field is: "data.object.metadata.license_key".
func (s fieldSource) describe(field string, object map[string]any) string {
	name := field
	for _, spelling := range spellings(field) {
		if object[spelling] != nil && object[spelling] != "" {
			name = spelling
			break
		}
	}
	switch {
	case s.field != "":
		return oneLine(s.objects.String())
	case s.pairs != nil && s.name != "":
		return name + " in " + oneLine(s.pairs.String())
	case s.pairs != nil && s.value != "":
		return oneLine(s.pairs.String()) + "." + name + "." + s.value
	case s.pairs != nil:
		return oneLine(s.pairs.String()) + "." + name
	case s.objects.String() == "@":
		return name
	}
	return oneLine(s.objects.String()) + "." + name
}
