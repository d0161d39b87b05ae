package licenseapitest

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Pages of a list. A larger limit is cut silently.
//
// Source: https://docs.licensespring.com/management-api/license/list-licenses
const (
	defaultPage = 20
	maxPage     = 100
)

// timeUnit is the resolution of a record's times.
const timeUnit = time.Second

// licenseFilters are the documented filters of a list of licenses that the fake knows, each with the values of a row
// with which it compares: any calls ok for them until one is. A name with the suffix "__startswith" or "__icontains"
// compares in another way, as documented for license_key and order__store_id.
func (s *Server) licenseFilters() map[string]valuesOf {
	one := func(value func(*row) string) valuesOf {
		return func(r *row, ok func(string) bool) bool { return ok(value(r)) }
	}
	return map[string]valuesOf{
		"license_key":               one(func(r *row) string { return r.LicenseKey }),
		"order__store_id":           one(func(r *row) string { return r.Order }),
		"subscription_id":           one(func(r *row) string { return r.Subscription }),
		"customer_email":            one(func(r *row) string { return r.CustomerEmail }),
		"customer_id":               one(func(r *row) string { return decimal(s.management.customers[r.CustomerEmail]) }),
		"product_short_code":        one(func(r *row) string { return r.Product }),
		"product_id":                one(func(r *row) string { return decimal(s.productID(r)) }),
		"license_users__true_email": one(func(r *row) string { return r.Username }),
		"enabled":                   one(func(r *row) string { return strconv.FormatBool(r.enabled()) }),
		"id__in":                    one(func(r *row) string { return decimal(r.id) }),
		"devices__hardware_id": func(r *row, ok func(string) bool) bool {
			return slices.ContainsFunc(r.devices, func(d device) bool { return ok(d.hardwareID) })
		},
	}
}

// valuesOf reports whether one of a row's values is ok.
type valuesOf func(r *row, ok func(value string) bool) bool

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// listLicenses answers a list of licenses. s.mu is held.
func (s *Server) listLicenses(query url.Values) reply {
	habits := s.management.habits
	if habits.RefuseFilters && hasFilter(query) {
		return detail(http.StatusBadRequest, "Unknown filter.")
	}
	matches := s.filter(query)
	var found []any
	var foreign *row
	for _, r := range s.rows.all {
		if habits.IgnoreFilters || matches(r) {
			found = append(found, s.licenseRecord(r))
		} else {
			foreign = r
		}
	}
	if habits.ForeignLicense && foreign != nil {
		found = append(found, s.licenseRecord(foreign))
	}
	return s.page(query, found)
}

// listDevices answers a list of devices; its filters are license, hardware_id and blacklisted (no device is). s.mu is held.
func (s *Server) listDevices(query url.Values) reply {
	habits := s.management.habits
	if habits.RefuseFilters && hasFilter(query) {
		return detail(http.StatusBadRequest, "Unknown filter.")
	}
	filter := func(name string) func(value string) bool {
		want, asked := query[name]
		switch {
		case !asked || habits.IgnoreFilters:
			return func(string) bool { return true }
		case habits.MatchParts:
			return func(value string) bool { return strings.HasPrefix(value, want[0]) }
		}
		return func(value string) bool { return value == want[0] }
	}
	isLicense, isDevice, blacklisted := filter("license"), filter("hardware_id"), filter("blacklisted")("false")
	var found []any
	var foreign func() deviceRecord // the last active one of another license
	for _, r := range s.rows.all {
		ofLicense := isLicense(decimal(r.id)) && blacklisted
		if !ofLicense && !habits.ForeignDevice {
			continue
		}
		for _, d := range r.devices {
			if ofLicense && isDevice(d.hardwareID) {
				found = append(found, s.deviceRecord(r, d))
			} else if d.active {
				foreign = func() deviceRecord { return s.deviceRecord(r, d) }
			}
		}
	}
	if habits.ForeignDevice && foreign != nil {
		found = append(found, foreign())
	}
	return s.page(query, found)
}

// hasFilter reports whether a list has a filter.
func hasFilter(query url.Values) bool {
	for name := range query {
		if name != "limit" && name != "offset" && name != "order_by" {
			return true
		}
	}
	return false
}

// filter returns a function that reports whether a row has every wanted value. Unknown filters are ignored, as
// django-filter does. With Habits.MatchParts, an exact filter matches a row whose value begins with the wanted one.
func (s *Server) filter(query url.Values) func(*row) bool {
	filters := s.licenseFilters()
	var conditions []func(*row) bool
	for name, wanted := range query {
		values, known := filters[strings.TrimSuffix(name, "__"+lookupOf(name))]
		if !known {
			continue
		}
		compare := comparison(lookupOf(name), s.management.habits.MatchParts)
		if name == "id__in" {
			wanted = strings.Split(wanted[0], ",")
		}
		isWanted := func(value string) bool {
			return slices.ContainsFunc(wanted, func(want string) bool { return compare(value, want) })
		}
		conditions = append(conditions, func(r *row) bool { return values(r, isWanted) })
	}
	return func(r *row) bool {
		return !slices.ContainsFunc(conditions, func(holds func(*row) bool) bool { return !holds(r) })
	}
}

// lookupOf returns the comparison at the end of a filter's name; without one it is exact.
func lookupOf(name string) string {
	for _, lookup := range []string{"startswith", "icontains"} {
		if strings.HasSuffix(name, "__"+lookup) {
			return lookup
		}
	}
	return "exact"
}

func comparison(lookup string, parts bool) func(value, want string) bool {
	switch {
	case lookup == "icontains":
		return func(value, want string) bool { return strings.Contains(strings.ToLower(value), strings.ToLower(want)) }
	case lookup == "startswith" || parts:
		return strings.HasPrefix
	}
	return func(value, want string) bool { return value == want }
}

// page cuts a list and wraps it in the API's form. s.mu is held.
func (s *Server) page(query url.Values, all []any) reply {
	habits := s.management.habits
	if habits.Duplicates {
		all = slices.Repeat(all, 2)
	}
	limit, offset := number(query.Get("limit"), defaultPage), number(query.Get("offset"), 0)
	most := maxPage
	if habits.PageSize > 0 {
		most = habits.PageSize
	}
	limit = min(limit, most)
	count, from := len(all), min(offset, len(all))
	if habits.ShiftPages && offset > 0 && from > 0 { // one more record was added in front since the previous page
		count, from = count+1, from-1
	}
	to := min(from+limit, len(all))
	page := map[string]any{"count": count, "next": nil, "previous": nil, "results": append([]any{}, all[from:to]...)}
	if to < len(all) {
		page["next"] = "https://elsewhere.example.com" + ManagementBase + "/?offset=" + strconv.Itoa(to) // no client may follow it
	}
	return object(page)
}

func number(text string, absent int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return absent
	}
	return n
}
