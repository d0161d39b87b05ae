package licenseapitest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ManagementBase is the path of the Management API.
//
// Source: https://docs.licensespring.com/management-api
const ManagementBase = "/api/v1"

// ManagementURL returns the address of the Management API for a License API's address, which is Start's or ends with
// Base.
func ManagementURL(api string) string { return strings.TrimSuffix(api, Base) + ManagementBase }

// Details of the Management API's errors, which have the form of Django REST framework.
const (
	detailCredentials = "Authentication credentials were not provided." // recorded by the vendor, for a wrong key too
	detailNotFound    = "Not found."
)

// management is the Management API's own part of a Server, guarded by Server.mu.
type management struct {
	keys      []string
	fault     func(ManagementCall) Fault // nil: none
	flood     *flood                     // nil: no limits
	habits    Habits
	times     map[string]int   // calls so far, by method, path and query
	customers map[string]int64 // e-mail address to customer id
	products  map[string]int64 // product code to product id
}

// Ids of customers and products that the state gives none begin here.
const (
	firstCustomerID = 3_000_000_001
	firstProductID  = 4_000_000_001
)

func newManagement(state State) management {
	m := management{
		keys: slices.Clone(state.ManagementAPIKeys), times: map[string]int{},
		customers: map[string]int64{}, products: map[string]int64{},
	}
	for _, l := range state.Licenses {
		m.add(l)
	}
	return m
}

// add gives the customer and the product of a license their ids.
func (m *management) add(l License) {
	if _, known := m.customers[l.CustomerEmail]; !known {
		m.customers[l.CustomerEmail] = firstCustomerID + int64(len(m.customers))
	}
	if _, known := m.products[l.Product]; !known {
		m.products[l.Product] = firstProductID + int64(len(m.products))
	}
}

// RotateManagement replaces the keys of the Management API. Without a key every call is refused.
func (s *Server) RotateManagement(keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.management.keys = slices.Clone(keys)
}

// managementRoute is what a path and a method stand for.
type managementRoute struct {
	resource string // "licenses" or "devices"
	id       int64  // 0: the list
	act      string // of a POST: "disable", "enable" or "reset"
}

// routeOf reads a path below ManagementBase. allowed is the method of the route, "" for an unknown path. Only a GET may
// lack the trailing slash, as with Django.
func routeOf(path, method string) (route managementRoute, allowed string) {
	parts := strings.Split(strings.TrimPrefix(path, ManagementBase+"/"), "/")
	slash := parts[len(parts)-1] == ""
	if slash {
		parts = parts[:len(parts)-1]
	}
	if len(parts) == 0 || (parts[0] != "licenses" && parts[0] != "devices") || (!slash && method == http.MethodPost) {
		return managementRoute{}, ""
	}
	route.resource = parts[0]
	if len(parts) == 1 {
		return route, http.MethodGet
	}
	id, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || id < 1 {
		return managementRoute{}, ""
	}
	route.id = id
	switch {
	case len(parts) == 2:
		return route, http.MethodGet
	case len(parts) == 3 && route.resource == "licenses" && (parts[2] == "disable" || parts[2] == "enable"),
		len(parts) == 3 && route.resource == "devices" && parts[2] == "reset":
		route.act = parts[2]
		return route, http.MethodPost
	}
	return managementRoute{}, ""
}

// serveManagement answers a call in this order: the route (404), the method (405), limits and faults, the key (403), the
// object (404), the filters (400).
func (s *Server) serveManagement(w http.ResponseWriter, r *http.Request) {
	route, allowed := routeOf(r.URL.Path, r.Method)
	switch {
	case allowed == "":
		s.write(w, detail(http.StatusNotFound, detailNotFound))
		return
	case r.Method != allowed:
		w.Header().Set("Allow", allowed)
		s.write(w, detail(http.StatusMethodNotAllowed, `Method "`+r.Method+`" not allowed.`))
		return
	}
	fault, limited := s.enterManagement(r)
	if limited != nil {
		s.write(w, *limited)
		return
	}
	work := func() reply { return s.workManagement(r.Header.Get("Authorization"), route, r.URL.Query()) }
	s.answer(w, r, fault, managementPrefix, work)
}

// enterManagement counts a call and returns its fault.
func (s *Server) enterManagement(r *http.Request) (Fault, *reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &s.management
	s.counts.Management++
	key := r.Method + " " + r.URL.RequestURI()
	m.times[key]++
	if m.flood != nil {
		if limited := m.flood.refuse(r, s.now()); limited != nil {
			limited.name = managementPrefix + "429"
			return Fault{}, limited
		}
	}
	if m.fault == nil {
		return Fault{}, nil
	}
	return m.fault(ManagementCall{
		Number: s.counts.Management, Times: m.times[key], Method: r.Method,
		Path: strings.TrimPrefix(r.URL.Path, ManagementBase), Query: r.URL.Query(),
	}), nil
}

func (s *Server) workManagement(authorization string, route managementRoute, query url.Values) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, ok := strings.CutPrefix(authorization, "Api-Key ")
	if !ok || !slices.Contains(s.management.keys, key) {
		return detail(http.StatusForbidden, detailCredentials)
	}
	if route.resource == "devices" {
		return s.workDevices(route, query)
	}
	return s.workLicenses(route, query)
}

func (s *Server) workLicenses(route managementRoute, query url.Values) reply {
	if route.id == 0 {
		return s.listLicenses(query)
	}
	r, known := s.rows.byID[route.id]
	switch {
	case !known:
		return detail(http.StatusNotFound, detailNotFound)
	case route.act == "":
		return object(s.licenseRecord(r))
	case route.act == "disable":
		return s.enable(r, false)
	}
	return s.enable(r, true)
}

// enable switches a license on or off.
func (s *Server) enable(r *row, on bool) reply {
	act, message := ActDisable, "License disabled."
	if on {
		act, message = ActEnable, "License enabled."
	}
	if r.enabled() == on && s.management.habits.RefuseRepeats {
		s.ledger.note(act, r.id, "", httpCode(http.StatusBadRequest))
		return detail(http.StatusBadRequest, "Nothing to change.")
	}
	if r.enabled() == on || s.management.habits.IgnoreWrites {
		s.ledger.note(act, r.id, "", httpCode(http.StatusOK))
		return object(map[string]string{"message": message})
	}
	s.ledger.note(act, r.id, "", "")
	r.Enabled = &on // not through the old pointer, which belongs to the caller
	if !on {
		r.TimeDisabled = s.now().UTC().Truncate(timeUnit)
	}
	return object(map[string]string{"message": message})
}

func (s *Server) workDevices(route managementRoute, query url.Values) reply {
	if route.id == 0 {
		return s.listDevices(query)
	}
	for _, r := range s.rows.all {
		at := slices.IndexFunc(r.devices, func(d device) bool { return d.id == route.id })
		if at < 0 {
			continue
		}
		if route.act == "" {
			return object(s.deviceRecord(r, r.devices[at]))
		}
		return s.resetDevice(r, &r.devices[at])
	}
	return detail(http.StatusNotFound, detailNotFound)
}

func (s *Server) resetDevice(r *row, d *device) reply {
	if !d.active || s.management.habits.IgnoreWrites {
		s.ledger.note(ActResetDevice, r.id, d.hardwareID, httpCode(http.StatusOK))
	} else {
		s.ledger.note(ActResetDevice, r.id, d.hardwareID, "")
		d.active, d.deactivated = false, s.now().UTC().Truncate(timeUnit)
	}
	return object(map[string]string{"message": "Device reset and license updated."})
}

// managementPrefix is the prefix of the names of the Management API's answers in Counts.
const managementPrefix = "management_"

func object(v any) reply {
	body, err := json.Marshal(v)
	if err != nil {
		return detail(http.StatusInternalServerError, "no JSON") // texts, numbers and times are always JSON
	}
	return reply{status: http.StatusOK, name: managementPrefix + "200", body: string(body), kind: jsonText}
}

// detail is an error in the form of Django REST framework.
func detail(status int, text string) reply {
	body, err := json.Marshal(map[string]string{"detail": text})
	if err != nil {
		body = nil // a text is always JSON
	}
	return reply{status: status, name: managementPrefix + strconv.Itoa(status), body: string(body), kind: jsonText}
}

func httpCode(status int) string { return "http_" + strconv.Itoa(status) }
