package bulk

import (
	"strings"
	"unicode"
)

// kind is how a cell becomes a JSON value.
type kind int

const (
	kindText    kind = iota
	kindOrder        // a text; several columns may give one
	kindBoolean      // true or false
	kindObject       // JSON
	kindTime         // RFC 3339, or a date
	kindRow          // the whole row as a JSON object, such as the body of a dead letter
)

// field is a field of a row, with the other names of its column.
type field struct {
	name    string
	kind    kind
	aliases []string
}

// fields lists what a column can be. Names are compared by plain. No alias is the name of something else that a shop
// exports: a column "email" may be the buyer's, and "reason" is a column of our own file of rejected rows.
func fields() []field {
	return []field{
		{name: "product", aliases: []string{"product code", "product short code", "short code", "sku"}},
		{name: "license_key", aliases: []string{"license", "licence", "licence key", "key", "serial", "serial number", "activation key"}},
		{name: "hardware_id", aliases: []string{"hardware", "hwid", "device", "device id", "machine id"}},
		{name: "order", kind: kindOrder, aliases: []string{"order id", "order number", "order no"}},
		{name: "username", aliases: []string{"user", "license user"}},
		{name: "cause"},
		{name: "id", aliases: []string{"request id"}},
		{name: "action"},
		{name: "event", aliases: []string{"event id"}},
		{name: "occurred_at", kind: kindTime, aliases: []string{"refunded at", "refund date"}},
		{name: "disable", kind: kindBoolean},
		{name: "request_file"},
		{name: "password"},
		{name: "id_token"},
		{name: "code"},
		{name: "customer_account_code"},
		{name: "license_id"},
		{name: "bundle_code"},
		{name: "sdk_ver"},
		{name: "consumptions"},
		{name: "variables", kind: kindObject},
		{name: "is_vm", kind: kindBoolean},
		{name: "vm_info"},
		{name: "os_ver"},
		{name: "hostname"},
		{name: "os_hostname"},
		{name: "ip"},
		{name: "ip_local"},
		{name: "app_ver"},
		{name: "mac_address"},
		{name: "row", kind: kindRow},
	}
}

// FieldNames lists the fields that a column can be mapped to.
func FieldNames() []string {
	var names []string
	for _, f := range fields() {
		names = append(names, f.name)
	}
	return names
}

// plain is a name without case, blanks and punctuation: "License Key" and "license_key" are one.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// fieldOf returns the field that a column's name means.
func fieldOf(column string) (field, bool) {
	wanted := plain(column)
	for _, f := range fields() {
		if plain(f.name) == wanted {
			return f, true
		}
		for _, alias := range f.aliases {
			if plain(alias) == wanted {
				return f, true
			}
		}
	}
	return field{}, false
}

// shortestTypo is the length from which a name can be a typing error of another: below it, names are too similar.
const shortestTypo = 5

// typoOf returns the field of which a column's name is probably a typing error: one letter more, less, different, or two
// exchanged. A mistyped hardware_id that is ignored would widen a request from one device to all of them.
func typoOf(column string) (name string, found bool) {
	typed := []rune(plain(column))
	if len(typed) < shortestTypo {
		return "", false
	}
	for _, f := range fields() {
		for _, known := range append([]string{f.name}, f.aliases...) {
			if isOneEdit(typed, []rune(plain(known))) {
				return f.name, true
			}
		}
	}
	return "", false
}

// isOneEdit reports whether one text becomes the other by one insertion, deletion, substitution or exchange of neighbours.
func isOneEdit(a, b []rune) bool {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	switch {
	case len(a)+len(b) == 1, len(a) == 1 && len(b) == 1:
		return true
	case len(a) == 2 && len(b) == 2:
		return a[0] == b[1] && a[1] == b[0]
	}
	return false
}
