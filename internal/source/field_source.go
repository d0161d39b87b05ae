package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/expression"
)

// fieldSource is where license fields may be: an object, a list of objects, a list of name-value pairs, or one field.
type fieldSource struct {
	objects     *expression.Expression
	pairs       *expression.Expression // with name and value
	name, value string                 // keys of a pair; name "": the object's own keys
	field       string                 // one field of the License API, by the expression in objects
}

// licenseFieldNames are the fields that a file may read one by one.
func licenseFieldNames() []string {
	return []string{"license_key", "hardware_id", "product", "username", "license_id", "bundle_code"}
}

// spellings are the names under which a field is read in a sender's free data. No other name is read: a store's own
// `code` or `ip` would be taken for the License API's.
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

// readFields reads the sources in order; for each field the first source that has it counts.
func readFields(sources []fieldSource, f facts) (licenseFields, error) {
	var all licenseFields
	for _, s := range sources {
		objects, err := s.read(f.Tree)
		if err != nil {
			return licenseFields{}, err
		}
		here, err := collect(objects)
		if err != nil {
			return licenseFields{}, err
		}
		if f.trace != nil {
			here.from = s.origins(here, objects, f.line)
		}
		all = all.withDefaults(here)
	}
	return all, nil
}

// read returns the source's objects, each with spellings of license fields as keys.
func (s fieldSource) read(t expression.Tree) ([]map[string]any, error) {
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
	if s.pairs != nil && s.name != "" {
		object, err := s.fromPairs(expression.List(result))
		return []map[string]any{object}, err
	}
	var objects []map[string]any
	for _, item := range expression.List(result) {
		if object, ok := item.(map[string]any); ok {
			objects = append(objects, s.unwrap(object))
		}
	}
	return objects, nil
}

// fromPairs makes an object of [{name: …, value: …}, …]. The same name with two values is ambiguous: an error.
func (s fieldSource) fromPairs(items []any) (map[string]any, error) {
	object := map[string]any{}
	for _, item := range items {
		pair, _ := item.(map[string]any)
		name, _ := pair[s.name].(string)
		if !isSpelling(name) {
			continue
		}
		if before, twice := object[name]; twice && !reflect.DeepEqual(before, pair[s.value]) {
			return nil, fmt.Errorf("%s is named twice with different values", name)
		}
		object[name] = pair[s.value]
	}
	return object, nil
}

// unwrap reads {license_key: {value: …}} as {license_key: …} where the file says pairs without a name.
func (s fieldSource) unwrap(object map[string]any) map[string]any {
	if s.pairs == nil {
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

// collect reads the fields of one source's objects. Several objects may each add keys and devices; of the other fields
// they must have the same value.
func collect(objects []map[string]any) (licenseFields, error) {
	var all licenseFields
	for _, object := range objects {
		keys, err := several(object, "license_key")
		if err != nil {
			return licenseFields{}, err
		}
		devices, err := several(object, "hardware_id")
		if err != nil {
			return licenseFields{}, err
		}
		all.licenseKeys = append(all.licenseKeys, keys...)
		all.hardwareIDs = append(all.hardwareIDs, devices...)
		for _, f := range []struct {
			name string
			to   *string
		}{{"username", &all.username}, {"license_id", &all.licenseID}, {"product", &all.product}, {"bundle_code", &all.bundleCode}} {
			if err := one(object, f.name, f.to); err != nil {
				return licenseFields{}, err
			}
		}
	}
	all.licenseKeys, all.hardwareIDs = distinct(all.licenseKeys), distinct(all.hardwareIDs)
	if len(all.licenseKeys) > 0 && all.username != "" {
		return licenseFields{}, errors.New("license_key and username name two licenses; one of them is needed")
	}
	return all, nil
}

// one reads a field that has one value, under the first of its spellings that the object has.
func one(object map[string]any, field string, to *string) error {
	for _, name := range spellings(field) {
		got, err := expression.Scalar(object[name])
		if err == nil {
			err = deactivation.CheckText(name, got)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if strings.TrimSpace(got) == "" {
			continue
		}
		if *to != "" && *to != got {
			return fmt.Errorf("%s has several different values", field)
		}
		*to = got
		return nil
	}
	return nil
}

// several reads a field that may be a list or a comma-separated text. Blanks around the parts and empty parts are
// removed.
func several(object map[string]any, field string) ([]string, error) {
	var parts []string
	switch v := object[field].(type) {
	case []any:
		for _, item := range v {
			part, err := expression.Scalar(item)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", field, err)
			}
			parts = append(parts, part)
		}
	case string:
		parts = strings.Split(v, ",")
	case nil, json.Number, float64:
		part, err := expression.Scalar(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field, err)
		}
		parts = []string{part}
	default:
		return nil, fmt.Errorf("%s: an object or a boolean stands in the place of a text", field)
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
	return out, nil
}

// origins says where the fields that were read from the source's objects are. It is called for a trace alone.
func (s fieldSource) origins(read licenseFields, objects []map[string]any, line int) origins {
	from := origins{}
	for field := range read.texts() {
		from[field] = []Origin{{s.describe(field, objects), line}}
	}
	return from
}

// describe says where in the source a field is: "data.object.metadata.license_key".
func (s fieldSource) describe(field string, objects []map[string]any) string {
	name := field
	for _, spelling := range spellings(field) {
		if slices.ContainsFunc(objects, func(o map[string]any) bool { return o[spelling] != nil && o[spelling] != "" }) {
			name = spelling
			break
		}
	}
	switch {
	case s.field != "":
		return oneLine(s.objects.String())
	case s.pairs != nil && s.name != "":
		return name + " in " + oneLine(s.pairs.String())
	case s.pairs != nil:
		return oneLine(s.pairs.String()) + "." + name + "." + s.value
	case s.objects.String() == "@":
		return name
	}
	return oneLine(s.objects.String()) + "." + name
}
