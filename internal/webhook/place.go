package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"license-deactivator/internal/deactivation"
)

// found is what places say about a license before it is multiplied out: several keys and several devices are
// every named license on every named device.
type found struct {
	licenseKeys []string
	hardwareIDs []string
	username    string
	licenseID   string
	product     string
	bundleCode  string
	from        origins // nil: nobody asks
}

// names says whether the license itself is named.
func (f found) names() bool { return len(f.licenseKeys) > 0 || f.username != "" }

// A place is where license data may lie: an object, a list of objects, a list of name-value pairs, or one field.
type place struct {
	objects     *expression
	pairs       *expression // with name and value
	name, value string      // keys of a pair; name "": the object's own keys
	field       string      // one field of the License API, by the expression in objects
}

// fieldNames are the names under which a field is read in a sender's free data. No other name is read: a store's
// own `code` or `ip` would be taken for the License API's.
func fieldNames(field string) []string {
	if field == "product" {
		return []string{"product", "product_code", "product_short_code"}
	}
	return []string{field}
}

func readPlaces(to *[]place) func(*yaml.Node) error {
	return func(node *yaml.Node) error {
		if node.Kind != yaml.SequenceNode {
			return faultAt(node, "license must be a list of places")
		}
		for _, item := range node.Content {
			p, err := readPlace(item)
			if err != nil {
				return err
			}
			*to = append(*to, p)
		}
		return nil
	}
}

func readPlace(node *yaml.Node) (place, error) {
	var p place
	if node.Kind != yaml.MappingNode {
		err := readExpression(&p.objects)(node)
		return p, err
	}
	readers := map[string]func(*yaml.Node) error{
		"pairs": readExpression(&p.pairs), "name": text(&p.name), "value": text(&p.value),
	}
	for _, field := range []string{"license_key", "hardware_id", "product", "username", "license_id", "bundle_code"} {
		readers[field] = func(node *yaml.Node) error {
			if p.field != "" {
				return faultAt(node, "one field a place; make %s a place of its own", field)
			}
			p.field = field
			return readExpression(&p.objects)(node)
		}
	}
	if err := fields(node, "a place", readers); err != nil {
		return place{}, err
	}
	switch {
	case (p.pairs == nil) == (p.field == ""):
		return place{}, faultAt(node, "a place is an expression, pairs with name and value, or one field")
	case p.pairs != nil && p.value == "":
		return place{}, faultAt(node, "value is missing: the key under which a pair holds its value")
	case p.pairs == nil && p.name+p.value != "":
		return place{}, faultAt(node, "name and value go with pairs")
	}
	return p, nil
}

// search reads the places in order; for each field the first place that has it counts. Key, user name and license id
// name the license together, so they come from one place.
func search(places []place, f facts) (found, error) {
	var all found
	for _, p := range places {
		objects, err := p.read(f.exact)
		if err != nil {
			return found{}, err
		}
		here, err := collect(objects)
		if err != nil {
			return found{}, err
		}
		f.trace.read(&here, p, objects, f.line)
		all = all.or(here)
	}
	return all, nil
}

// or fills in what f lacks. An identity is never mixed.
func (f found) or(other found) found {
	before := f
	if !f.names() {
		f.licenseKeys, f.username, f.licenseID = other.licenseKeys, other.username, other.licenseID
	}
	if len(f.hardwareIDs) == 0 {
		f.hardwareIDs = other.hardwareIDs
	}
	if f.product == "" {
		f.product = other.product
	}
	if f.bundleCode == "" {
		f.bundleCode = other.bundleCode
	}
	if other.from != nil {
		f.from = f.came(before, other)
	}
	return f
}

// read returns the place's objects, each with the License API's field names as keys.
func (p place) read(tree any) ([]map[string]any, error) {
	expr := p.objects
	if p.pairs != nil {
		expr = p.pairs
	}
	result, err := expr.search(tree)
	if err != nil || result == nil {
		return nil, err
	}
	if p.field != "" {
		return []map[string]any{{p.field: result}}, nil
	}
	if p.pairs != nil && p.name != "" {
		object, err := p.fromPairs(list(result))
		return []map[string]any{object}, err
	}
	var objects []map[string]any
	for _, item := range list(result) {
		if object, ok := item.(map[string]any); ok {
			objects = append(objects, p.unwrap(object))
		}
	}
	return objects, nil
}

// fromPairs makes an object of [{name: …, value: …}, …]. A name that is there twice is ambiguous.
func (p place) fromPairs(items []any) (map[string]any, error) {
	object := map[string]any{}
	for _, item := range items {
		pair, _ := item.(map[string]any)
		name, _ := pair[p.name].(string)
		if !known(name) {
			continue
		}
		if before, twice := object[name]; twice && !reflect.DeepEqual(before, pair[p.value]) {
			return nil, fmt.Errorf("%s is named twice with different values", name)
		}
		object[name] = pair[p.value]
	}
	return object, nil
}

// unwrap reads {license_key: {value: …}} as {license_key: …} where the place says pairs without a name.
func (p place) unwrap(object map[string]any) map[string]any {
	if p.pairs == nil {
		return object
	}
	out := map[string]any{}
	for key, item := range object {
		if wrapped, ok := item.(map[string]any); ok && known(key) {
			out[key] = wrapped[p.value]
		}
	}
	return out
}

func known(name string) bool {
	switch name {
	case "license_key", "hardware_id", "product", "product_code", "product_short_code", "username", "license_id", "bundle_code":
		return true
	}
	return false
}

// collect reads the fields of one place. Several objects may each add keys and devices; of the other fields they
// must agree.
func collect(objects []map[string]any) (found, error) {
	var all found
	for _, object := range objects {
		keys, err := several(object, "license_key")
		if err != nil {
			return found{}, err
		}
		devices, err := several(object, "hardware_id")
		if err != nil {
			return found{}, err
		}
		all.licenseKeys = append(all.licenseKeys, keys...)
		all.hardwareIDs = append(all.hardwareIDs, devices...)
		for _, f := range []struct {
			name string
			to   *string
		}{{"username", &all.username}, {"license_id", &all.licenseID}, {"product", &all.product}, {"bundle_code", &all.bundleCode}} {
			if err := one(object, f.name, f.to); err != nil {
				return found{}, err
			}
		}
	}
	all.licenseKeys, all.hardwareIDs = distinct(all.licenseKeys), distinct(all.hardwareIDs)
	if len(all.licenseKeys) > 0 && all.username != "" {
		return found{}, errors.New("license_key and username name two licenses; one of them is needed")
	}
	return all, nil
}

// one reads a field that has one value, under the first of its names that the object has.
func one(object map[string]any, field string, to *string) error {
	for _, name := range fieldNames(field) {
		got, err := scalar(object[name])
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

// several reads a field that may be a list or a comma-separated text: blanks around the parts and empty parts are
// dropped.
func several(object map[string]any, field string) ([]string, error) {
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
		parts = strings.Split(v, ",")
	case nil, json.Number, float64:
		part, err := scalar(v)
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

// distinct drops repeats; of each the first stays. It changes its argument, and takes time in proportion to it: a body
// may name a hundred thousand.
func distinct(texts []string) []string {
	if len(texts) < 2 {
		return texts
	}
	seen := make(map[string]bool, len(texts))
	return slices.DeleteFunc(texts, func(text string) bool {
		repeated := seen[text]
		seen[text] = true
		return repeated
	})
}

func appendNew(to, more []string) []string {
	for _, text := range more {
		if !slices.Contains(to, text) {
			to = append(to, text)
		}
	}
	return to
}
