package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"license-deactivator/internal/deactivation"
)

const (
	// maxEdits is how many letters a misspelt name may differ by, for names with leastNearly letters or more: in a
	// shorter one two letters make another word.
	maxEdits    = 2
	leastNearly = 8

	shownNearly = 5 // names that are printed
)

// otherNames are other names that people use for a field. Case, hyphens and underscores do not count.
func otherNames(field string) []string {
	switch field {
	case "license_key":
		return []string{"license", "licence", "serialnumber"}
	case "hardware_id":
		return []string{"hardware", "hwid", "deviceid", "machineid"}
	}
	return nil
}

// nearlyNamed finds names in an event that are nearly those of its missing fields, such as licenseKey. It leaves out
// the names in searched, which the event's expressions read.
func nearlyNamed(body []byte, missing []string, searched map[string][]string) []string {
	var event any
	if json.Unmarshal(body, &event) != nil {
		return nil // XML has the sender's own names
	}
	var found []string
	visitNames(event, "", func(name, path string) {
		for _, field := range missing {
			if name == field || !isNearly(name, field) || slices.ContainsFunc(searched[field], func(s string) bool { return strings.HasSuffix(s, name) }) {
				continue
			}
			found = append(found, fmt.Sprintf("%s is nearly the name %s", deactivation.CleanText(path), field))
		}
	})
	slices.Sort(found)
	found = slices.Compact(found)
	if len(found) > shownNearly {
		found = found[:shownNearly]
	}
	return found
}

// visitNames calls visit for each name in an event that has a text or a number: keys of objects, and the names of
// {"name":…,"value":…} pairs.
func visitNames(value any, path string, visit func(name, path string)) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			below := strings.TrimPrefix(path+"."+key, ".")
			switch text := inner.(type) {
			case string:
				visit(key, below)
				if (key == "name" || key == "key") && v["value"] != nil {
					visit(text, path+": "+text)
				}
			case float64:
				visit(key, below)
			}
			visitNames(inner, below, visit)
		}
	case []any:
		for i, inner := range v {
			visitNames(inner, path+"["+strconv.Itoa(i)+"]", visit)
		}
	}
}

// isNearly reports whether a name may be meant as a field's name.
func isNearly(name, field string) bool {
	name, plain := letters(name), letters(field)
	return name == plain || slices.Contains(otherNames(field), name) ||
		len(name) >= leastNearly && len(plain) >= leastNearly && edits(name, plain) <= maxEdits
}

// letters returns a name's letters and digits in lower case.
func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == ' ' || r == '.' {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// edits returns the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
