package main

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"license-deactivator/internal/bulk"
)

// orderNumber is a number that a shop counts up: another shop has the same. Longer numbers are made by senders for all of their
// shops.
var orderNumber = regexp.MustCompile(`^#?[0-9]{1,9}$`)

// shopExport is what an export says about its refunds in columns that are no fields of a request.
type shopExport struct {
	partial map[string]bool // orders of which a part was refunded
}

// read remembers an order of which the row says that a part was refunded. An export with a row for each item says it in one of
// them.
func (e shopExport) read(row bulk.Row) {
	if !saysPartial(row) {
		return
	}
	for _, id := range row.Request.Order {
		e.partial[id] = true
	}
}

// isPartial reports whether only a part of the row's order was refunded.
func (e shopExport) isPartial(row bulk.Row) bool {
	return saysPartial(row) || slices.ContainsFunc(row.Request.Order, func(id string) bool { return e.partial[id] })
}

// saysPartial reports whether a column says it, in the words of the shops.
func saysPartial(row bulk.Row) bool {
	for _, value := range row.Others {
		switch lettersOf(value) {
		case "partial", "partialrefund", "partialrefunded", "partiallyrefunded", "partlyrefunded":
			return true
		}
	}
	return false
}

// addressColumns are the names of a column of the customer's e-mail address, the ones that say most first.
func addressColumns() []string {
	return []string{"customeremail", "customeremailaddress", "email", "emailaddress", "buyeremail", "billingemail", "contactemail"}
}

func isAddressColumn(column string) bool { return slices.Contains(addressColumns(), lettersOf(column)) }

// email returns the address of the customer, "" where the export has none.
func (shopExport) email(row bulk.Row) string {
	for _, name := range addressColumns() {
		for column, value := range row.Others {
			if lettersOf(column) == name && strings.Contains(value, "@") {
				return value
			}
		}
	}
	return ""
}

// lettersOf is a text without case, digits, blanks and punctuation.
func lettersOf(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, text)
}
