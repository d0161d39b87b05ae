package managementapi

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// minValueRunes is the shortest value of a filter, in characters. A shorter one is an accident: no order id, key or
// subscription has two.
const minValueRunes = 3

// maxValueRunes bounds a value, in characters: the longest real one is a PayPal order with its reference, below 100.
const maxValueRunes = 256

// The filters' names in the API.
const (
	licenseKey     = "license_key"
	orderStoreID   = "order__store_id"
	subscriptionID = "subscription_id"
)

// ErrFilter is wrapped by the error of a filter that is refused before anything is sent: its value is empty, too short,
// too long, a placeholder or not a text. The error does not hold the value.
var ErrFilter = errors.New("managementapi: a value that no list may be asked for")

// Filter is one exact filter of a list of licenses. Its zero value is refused with ErrFilter. Its value is not printed.
//
// Source: https://docs.licensespring.com/management-api/license/list-licenses
type Filter struct{ name, value string }

// ByLicenseKey finds the licenses with that key: one, or one for each product of a bundle.
func ByLicenseKey(key string) Filter { return Filter{licenseKey, key} }

// ByOrder finds the licenses of the order with that id: the store's own, if the vendor gave it to LicenseSpring.
func ByOrder(id string) Filter { return Filter{orderStoreID, id} }

// BySubscription finds the licenses of that subscription.
func BySubscription(id string) Filter { return Filter{subscriptionID, id} }

// Name returns the filter's name in the API.
func (f Filter) Name() string { return f.name }

// Matches reports whether a license has the filter's value, byte for byte. It is false for the zero Filter.
func (f Filter) Matches(l License) bool {
	switch f.name {
	case licenseKey:
		return l.Key == f.value
	case orderStoreID:
		return l.Order == f.value
	case subscriptionID:
		return l.Subscription == f.value
	}
	return false
}

// Check returns an error that wraps ErrFilter if the value may not be used for a list.
func (f Filter) Check() error {
	bad := func(why string) error { return fmt.Errorf("%w: %s %s", ErrFilter, f.name, why) }
	switch {
	case f.name == "":
		return fmt.Errorf("%w: there is no filter", ErrFilter)
	case utf8.RuneCountInString(f.value) < minValueRunes:
		return bad("has fewer than 3 characters")
	case utf8.RuneCountInString(f.value) > maxValueRunes:
		return bad("has more than 256 characters")
	case strings.TrimSpace(f.value) != f.value:
		return bad("has white space at its ends")
	case !utf8.ValidString(f.value) || strings.ContainsFunc(f.value, func(r rune) bool { return r < ' ' || r == 0x7F || r == utf8.RuneError }):
		return bad("holds a character that no id has")
	case isPlaceholder(f.value, f.name != licenseKey):
		return bad("is a placeholder")
	case f.name == orderStoreID && trialOrder.MatchString(f.value):
		return bad("is a trial's order, which no store knows")
	}
	return nil
}

// trialOrder is the order id that LicenseSpring itself gives a trial license.
var trialOrder = regexp.MustCompile(`^trial_[0-9]+$`)

// filledIn matches an empty placeholder of a template: {{id}}, ${id}, <id>, %id%, [id].
var filledIn = regexp.MustCompile(`^(\{.*\}|\$\{.*\}|<.*>|%.*%|\[.*\])$`)

// isPlaceholder reports whether a value stands for "none". Integrations write such words when an order or subscription
// has no id, and many licenses then have the same one: https://github.com/cryptlex/third-party-integrations has
// "subscription_empty". With prefixed, such a word after a prefix is also a placeholder; the last letters of a key may
// form it.
func isPlaceholder(value string, prefixed bool) bool {
	if filledIn.MatchString(value) {
		return true
	}
	word := strings.ToLower(value)
	for _, end := range []string{"empty", "null", "none", "nil", "undefined", "unknown", "missing", "placeholder"} {
		if rest, ok := strings.CutSuffix(word, end); ok && (rest == "" || prefixed && strings.ContainsAny(rest[len(rest)-1:], "_- ")) {
			return true
		}
	}
	switch word {
	case "n/a", "nan", "false", "true", "test", "tbd", "todo", "default", "example", "string":
		return true
	}
	return strings.Trim(word, "0-_.#*?x") == "" // 000, ---, …; but 1111 is an order's number
}

// Format implements fmt.Formatter for every verb, so that no verb shows the value.
func (f Filter) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "filter %s", f.name) }
