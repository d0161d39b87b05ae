package expression

import (
	"encoding/json"
	"slices"
)

// Roots lists the names at the top of an event that an expression reads: ORDER_ID and a of `ORDER_ID == a.b`. whole
// reports that it reads the event itself, as `@`, `*` and `[0]` do, so it may read any name. What stands to the right of a
// pipe, behind & or within the brackets of a path is evaluated on a part that Roots has named.
func (e *Expression) Roots() (names []string, whole bool) {
	s := scanner{text: e.text}
	for s.at < len(e.text) {
		from, isPath := s.next()
		if !isPath {
			continue
		}
		name, ok := firstName(e.text[from:s.at])
		switch {
		case !ok:
			whole = true
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	return names, whole
}

// firstName returns the name with which a path begins; false for a path that begins with the event itself.
func firstName(path string) (string, bool) {
	s := scanner{text: path}
	switch {
	case path[0] == '"':
		s.quoted('"')
		var name string
		err := json.Unmarshal([]byte(path[:s.at]), &name)
		return name, err == nil
	case !isNameStart(path[0]):
		return "", false
	}
	s.name()
	return path[:s.at], true
}
