package licenseapitest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const managementKey = "management-key"

// newManaged returns a server with two orders, whose clock always shows noon and which keeps a ledger.
func newManaged(t *testing.T) *Server {
	t.Helper()
	no := false
	s, err := New(State{
		APIKeys: map[string]string{apiKey: sharedKey}, ManagementAPIKeys: []string{"old-key", managementKey},
		Licenses: []License{
			{ID: 11, Product: "XY", LicenseKey: "K1", Order: "order-1", Subscription: "sub-1", CustomerEmail: "a@example.com",
				Devices: []string{"hw1", "hw2"}, InactiveDevices: []string{"hw1"}, CreatedAt: noon().Add(-time.Hour),
				Activated: map[string]time.Time{"hw1": noon().Add(-time.Minute)}},
			{ID: 12, Product: "XZ", LicenseKey: "K2", Order: "order-1", CustomerEmail: "a@example.com"},
			{ID: 13, Product: "XY", LicenseKey: "K12", Order: "order-12", CustomerEmail: "b@example.com", Devices: []string{"hw1"},
				Enabled: &no, TimeDisabled: noon().Add(-time.Second)},
			{ID: 14, Product: "US", Username: "u@example.com", Password: "initial-secret", Order: "order-3", CustomerEmail: "b@example.com", Devices: []string{"hw9"}},
		},
	}, Clock(noon), KeepLedger())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// manage makes a call and returns the status and the body.
func manage(t *testing.T, s *Server, method, path, key string) (status int, body string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, ManagementBase+path, nil)
	if key != "" {
		r.Header.Set("Authorization", "Api-Key "+key)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// ids returns the ids on a page and its count.
func ids(t *testing.T, body string) (found []int64, count int) {
	t.Helper()
	var page struct {
		Count   int
		Results []struct{ ID int64 }
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for _, record := range page.Results {
		found = append(found, record.ID)
	}
	return found, page.Count
}

func TestManagementCallsAreCheckedInOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, path, key string
		status            int
		detail            string
	}{
		{"GET", "/", "", 404, "Not found."},
		{"GET", "/orders/", "", 404, "Not found."},
		{"GET", "/licenses/x/", "", 404, "Not found."},
		{"GET", "/licenses/0/", "", 404, "Not found."},
		{"POST", "/licenses/11/reset/", managementKey, 404, "Not found."},
		{"POST", "/licenses/disable_bulk/", managementKey, 404, "Not found."},
		{"POST", "/devices/7/blacklist/", managementKey, 404, "Not found."},
		{"POST", "/licenses/11/disable", managementKey, 404, "Not found."}, // without its slash
		{"DELETE", "/licenses/11/", managementKey, 405, `Method "DELETE" not allowed.`},
		{"PATCH", "/licenses/11/", managementKey, 405, `Method "PATCH" not allowed.`},
		{"GET", "/licenses/11/disable/", managementKey, 405, `Method "GET" not allowed.`},
		{"GET", "/licenses/", "", 403, "Authentication credentials were not provided."},
		{"GET", "/licenses/", "wrong", 403, "Authentication credentials were not provided."},
		{"POST", "/licenses/99/disable/", "wrong", 403, "Authentication credentials were not provided."},
		{"POST", "/licenses/99/disable/", managementKey, 404, "Not found."},
		{"GET", "/devices/99/", managementKey, 404, "Not found."},
		{"GET", "/licenses/11/", managementKey, 200, ""},
		{"GET", "/licenses/11", "old-key", 200, ""},
		{"GET", "/devices/2000000001/", managementKey, 200, ""},
		{"GET", "/licenses/", managementKey, 200, ""},
	} {
		status, body := manage(t, newManaged(t), c.method, c.path, c.key)
		var said struct{ Detail string }
		if err := json.Unmarshal([]byte(body), &said); err != nil || status != c.status || said.Detail != c.detail {
			t.Errorf("%s %s with %q: got %d %s, want %d %s", c.method, c.path, c.key, status, body, c.status, c.detail)
		}
	}
}

func TestTheManagementKeyRotates(t *testing.T) {
	t.Parallel()
	s := newManaged(t)
	s.RotateManagement("new-key")
	if status, _ := manage(t, s, "GET", "/licenses/", managementKey); status != 403 {
		t.Errorf("the old key: %d", status)
	}
	if status, _ := manage(t, s, "GET", "/licenses/", "new-key"); status != 200 {
		t.Errorf("the new key: %d", status)
	}
}

func TestALicenseIsAddedLater(t *testing.T) {
	t.Parallel()
	s := newManaged(t)
	if err := s.Add(License{ID: 11, Product: "XY", LicenseKey: "K5"}); err == nil || !strings.Contains(err.Error(), "the same id as licenses[0]") {
		t.Errorf("a license that is there already: %v", err)
	}
	if err := s.Add(License{Product: "NEW", LicenseKey: "K5", Order: "order-5", CustomerEmail: "c@example.com", Devices: []string{"hw5"}}); err != nil {
		t.Fatal(err)
	}
	_, body := manage(t, s, "GET", "/licenses/?order__store_id=order-5", managementKey)
	for _, part := range []string{`"id":1000000005`, `"customer":{"id":3000000003,`, `"product":{"id":4000000004,`} {
		if !strings.Contains(body, part) {
			t.Errorf("%s is not in %s", part, body)
		}
	}
	if _, body := manage(t, s, "GET", "/devices/?license=1000000005", managementKey); !strings.Contains(body, `"id":2000000006,"hardware_id":"hw5"`) {
		t.Errorf("its device: %s", body)
	}
	if _, code := said(t, s, newRequest(t, `{"product":"NEW","license_key":"K5","hardware_id":"hw5"}`, nil)); code != success {
		t.Errorf("the License API: %s", code)
	}
}

func TestListsAreFiltered(t *testing.T) {
	t.Parallel()
	for query, want := range map[string][]int64{
		"":                                                {11, 12, 13, 14},
		"license_key=K1":                                  {11},
		"license_key__startswith=K1":                      {11, 13},
		"license_key__icontains=k1":                       {11, 13},
		"license_key=k1":                                  nil,
		"order__store_id=order-1":                         {11, 12},
		"order__store_id=nothing":                         nil,
		"order__store_id__startswith=order-1":             {11, 12, 13},
		"subscription_id=sub-1":                           {11},
		"customer_email=b@example.com":                    {13, 14},
		"license_users__true_email=u@example.com":         {14},
		"devices__hardware_id=hw1":                        {11, 13},
		"product_short_code=XY":                           {11, 13},
		"enabled=false":                                   {13},
		"id__in=12,14":                                    {12, 14},
		"order__store_id=order-1&product_short_code=XY":   {11},
		"order_store_id=order-1":                          {11, 12, 13, 14}, // no documented name: ignored
		"order__store_id=order-1&limit=1":                 {11},
		"order__store_id=order-1&limit=1&offset=1":        {12},
		"order__store_id=order-1&limit=5&offset=2":        nil,
		"order__store_id=order-1&limit=-1&offset=x":       {11, 12},
		"order__store_id=order-1&order_by=created_at&a=b": {11, 12},
	} {
		status, body := manage(t, newManaged(t), "GET", "/licenses/?"+query, managementKey)
		if status != 200 {
			t.Fatalf("%s: %d %s", query, status, body)
		}
		if got, _ := ids(t, body); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", query, got, want)
		}
	}
	for query, want := range map[string]int{"license=11": 3, "license=12": 0, "license=11&hardware_id=hw1": 2, "hardware_id=hw1": 3, "": 5, "blacklisted=true": 0} {
		_, body := manage(t, newManaged(t), "GET", "/devices/?"+query, managementKey)
		if got, count := ids(t, body); len(got) != want || count != want {
			t.Errorf("devices by %s: got %d of %d, want %d", query, len(got), count, want)
		}
	}
}

func TestPagesAreCutSilently(t *testing.T) {
	t.Parallel()
	state := State{ManagementAPIKeys: []string{managementKey}}
	for i := range 250 {
		state.Licenses = append(state.Licenses, License{Product: "XY", LicenseKey: "K" + strconv.Itoa(i)})
	}
	s, err := New(state)
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{"": 20, "limit=100": 100, "limit=1000": 100, "limit=1000&offset=200": 50, "limit=0": 0} {
		_, body := manage(t, s, "GET", "/licenses/?"+query, managementKey)
		if got, count := ids(t, body); len(got) != want || count != 250 {
			t.Errorf("%s: got %d of %d, want %d of 250", query, len(got), count, want)
		}
		if more := strings.Contains(body, `"next":"https://elsewhere.example.com`); more != !strings.Contains(query, "offset") {
			t.Errorf("%s: another page is announced: %v", query, more)
		}
	}
}

// TestRecordsHaveTheDocumentedFields: the names and forms are those of
// https://docs.licensespring.com/management-api/license/retrieve-license and …/device/retrieve-device
func TestRecordsHaveTheDocumentedFields(t *testing.T) {
	t.Parallel()
	s := newManaged(t)
	for path, want := range map[string]string{
		"/licenses/11/": `{"id":11,"status":"Active","customer":{"id":3000000001,"email":"a@example.com","reference":""},"license_users":[],` +
			`"order_store_id":"order-1","total_active_devices":2,"product":{"id":4000000001,"short_code":"XY","authorization_method":"license-key"},` +
			`"license_key":"K1","subscription_id":"sub-1","active":true,"enabled":true,"times_activated":3,"is_floating":false,"is_floating_cloud":false,` +
			`"created_at":"2026-01-02T11:00:00Z"}`,
		"/licenses/14/": `{"id":14,"status":"Active","customer":{"id":3000000002,"email":"b@example.com","reference":""},` +
			`"license_users":[{"id":14,"email":"u@example.com|fake","true_email":"u@example.com","initial_password":"initial-secret"}],` +
			`"order_store_id":"order-3","total_active_devices":1,"product":{"id":4000000003,"short_code":"US","authorization_method":"user"},` +
			`"license_key":null,"subscription_id":null,"active":true,"enabled":true,"times_activated":1,"is_floating":false,"is_floating_cloud":false}`,
		"/devices/2000000001/": `{"id":2000000001,"hardware_id":"hw1","device_active":true,"time_activated":"2026-01-02T11:59:00Z","time_deactivated":null,` +
			`"floating_in_use":false,"blacklisted":false,"license":{"id":11,"license_key":"K1"}}`,
		"/devices/2000000005/": `{"id":2000000005,"hardware_id":"hw9","device_active":true,"time_deactivated":null,` +
			`"floating_in_use":false,"blacklisted":false,"license":{"id":14,"license_key":null}}`,
	} {
		if _, got := manage(t, s, "GET", path, managementKey); got != want {
			t.Errorf("%s:\n got %s\nwant %s", path, got, want)
		}
	}
	for path, want := range map[string]string{"12": "Inactive", "13": "Disabled"} {
		if _, body := manage(t, s, "GET", "/licenses/"+path+"/", managementKey); !strings.Contains(body, `"status":"`+want+`"`) {
			t.Errorf("license %s is not %s: %s", path, want, body)
		}
	}
}

// TestBothAPIsWriteOneState makes writes through both and reads them from the state, the records and the ledger.
func TestBothAPIsWriteOneState(t *testing.T) {
	t.Parallel()
	given := true
	s := newManaged(t)
	s.rows.byID[11].Enabled = &given // as a caller's state may have it
	call := func(want string, device string) {
		t.Helper()
		body := `{"product":"XY","license_key":"K1","hardware_id":"` + device + `"}`
		if _, code := said(t, s, newRequest(t, body, nil)); code != want {
			t.Errorf("deactivate %s: %s, want %s", device, code, want)
		}
	}
	post := func(want, path string) {
		t.Helper()
		if _, body := manage(t, s, "POST", path, managementKey); body != `{"message":"`+want+`"}` {
			t.Errorf("%s: %s", path, body)
		}
	}
	call(success, "hw1")
	call("device_not_found", "hw1")
	post("License disabled.", "/licenses/11/disable/")
	post("License disabled.", "/licenses/11/disable/")
	call("license_not_enabled", "hw2")
	post("License enabled.", "/licenses/11/enable/")
	call(success, "hw2")
	post("Device reset and license updated.", "/devices/2000000005/reset/")
	post("Device reset and license updated.", "/devices/2000000005/reset/")

	want := []Write{
		{ActDeactivateLicense, 11, "hw1", ""},
		{ActDeactivateLicense, 11, "hw1", "device_not_found"},
		{ActDisable, 11, "", ""},
		{ActDisable, 11, "", "http_200"},
		{ActDeactivateLicense, 11, "hw2", "license_not_enabled"},
		{ActEnable, 11, "", ""},
		{ActDeactivateLicense, 11, "hw2", ""},
		{ActResetDevice, 14, "hw9", ""},
		{ActResetDevice, 14, "hw9", "http_200"},
	}
	if diff := cmp.Diff(want, s.Ledger()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	l := s.State().Licenses[0]
	if len(l.Devices) != 0 || !slices.Equal(l.InactiveDevices, []string{"hw1", "hw2", "hw1"}) || !*l.Enabled || !l.TimeDisabled.Equal(noon()) {
		t.Errorf("license 11 is %+v", l)
	}
	if !given {
		t.Error("the server wrote into the caller's state")
	}
	if _, body := manage(t, s, "GET", "/devices/2000000001/", managementKey); !strings.Contains(body, `"device_active":false`) ||
		!strings.Contains(body, `"time_deactivated":"2026-01-02T12:00:00Z"`) {
		t.Errorf("the device's record: %s", body)
	}
	if got := s.Counts(); got.Calls != 4 || got.Management != 6 || got.Answers["management_200"] != 6 {
		t.Errorf("counts %+v", got)
	}
}

func TestALedgerIsKeptOnDemandAlone(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	said(t, s, newRequest(t, oneDevice, nil))
	if got := s.Ledger(); got != nil {
		t.Errorf("got %v", got)
	}
}

// TestNamedManagementFaults lists the licenses of order-1 three times with each named fault and compares the results.
func TestNamedManagementFaults(t *testing.T) {
	t.Parallel()
	const list, devices = "/licenses/?order__store_id=order-1", "/devices/?license=11"
	cases := map[string]struct {
		path string
		want []string
	}{
		"management-503":             {list, []string{"503", "503", "11 12 of 2"}},
		"management-429":             {list, []string{"429 after 1", "429 after 1", "11 12 of 2"}},
		"management-flood":           {list, []string{"11 12 of 2", "11 12 of 2", "11 12 of 2"}},
		"management-403":             {list, []string{"403", "403", "403"}},
		"management-down":            {list, []string{"503", "503", "503"}},
		"management-gone":            {list, []string{"reset", "reset", "reset"}},
		"management-cut":             {list, []string{"cut", "cut", "11 12 of 2"}},
		"management-html":            {list, []string{"HTML", "HTML", "11 12 of 2"}},
		"management-filters-ignored": {list, []string{"11 12 13 14 of 4"}},
		"management-filters-partial": {list, []string{"11 12 13 of 3"}},
		"management-filters-refused": {list, []string{"400"}},
		"management-foreign-license": {list, []string{"11 12 14 of 3"}},
		"management-foreign-device":  {devices, []string{"2000000001 2000000002 2000000003 2000000005 of 4"}},
		"management-duplicates":      {list, []string{"11 12 11 12 of 4"}},
		"management-pages-short":     {list + "&offset=1", []string{"12 of 2"}},
		"management-pages-shift":     {list + "&offset=1", []string{"11 of 3"}},
		"management-hang":            {}, "management-null-keys": {}, "management-no-times": {},
		"management-repeats-refused": {}, "management-writes-ignored": {}, // the tests below
	}
	for _, f := range ManagementFaults() {
		if _, tested := cases[f.Name]; !tested || f.Meaning == "" || strings.Contains(f.Meaning, "\n") {
			t.Errorf("the fault %s has no test or no meaning of one line", f.Name)
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newManaged(t)
			if err := s.Fail(name); err != nil {
				t.Fatal(err)
			}
			call := startManagement(t, s)
			var got []string
			for range c.want {
				got = append(got, call(c.path))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, code := said(t, s, newRequest(t, oneDevice, nil)); code != success {
				t.Errorf("the License API: %s", code)
			}
		})
	}
}

// startManagement serves s and returns a function that gets a path on its own connection and describes the result in a
// few words.
func startManagement(t *testing.T, s *Server) func(path string) string {
	t.Helper()
	api, stop, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return func(path string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ManagementURL(api)+path, nil)
		if err != nil {
			return err.Error()
		}
		req.Header.Set("Authorization", "Api-Key "+managementKey)
		resp, err := client.Do(req)
		if err != nil {
			return "reset"
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		switch {
		case err != nil:
			return "cut"
		case strings.HasPrefix(string(body), "<!doctype"):
			return "HTML"
		case resp.StatusCode != http.StatusOK && resp.Header.Get("Retry-After") != "":
			return strconv.Itoa(resp.StatusCode) + " after " + resp.Header.Get("Retry-After")
		case resp.StatusCode != http.StatusOK:
			return strconv.Itoa(resp.StatusCode)
		}
		found, count := ids(t, string(body))
		text := ""
		for _, id := range found {
			text += strconv.FormatInt(id, 10) + " "
		}
		return text + "of " + strconv.Itoa(count)
	}
}

func TestAHangingManagementAPIAnswersNoCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newManaged(t)
		if err := s.Fail("management-hang"); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, ManagementBase+"/licenses/", nil)
		begin := time.Now()
		go s.ServeHTTP(httptest.NewRecorder(), r)
		time.Sleep(managementSlow - time.Second)
		synctest.Wait()
		if got := s.Counts().Answers; len(got) != 0 {
			t.Errorf("after %v: %v", time.Since(begin), got)
		}
		time.Sleep(2 * time.Second)
	})
}

func TestHabitsChangeRecordsAndWrites(t *testing.T) {
	t.Parallel()
	s := newManaged(t)
	has := func(want bool, path, part string) {
		t.Helper()
		if _, body := manage(t, s, "GET", path, managementKey); strings.Contains(body, part) != want {
			t.Errorf("%s holds %s: %v; %s", path, part, !want, body)
		}
	}
	s.SetHabits(Habits{NullKeys: true, NoTimes: true, NumberedLicenses: true})
	has(true, "/licenses/11/", `"license_key":null`)
	has(false, "/licenses/11/", "created_at")
	has(false, "/licenses/13/", "time_disabled")
	has(false, "/devices/2000000001/", "time_activated")
	has(true, "/devices/2000000001/", `"license":11}`)
	s.SetHabits(Habits{RefuseRepeats: true})
	for path, want := range map[string]int{"/licenses/13/disable/": 400, "/licenses/11/enable/": 400, "/licenses/12/disable/": 200} {
		if status, body := manage(t, s, "POST", path, managementKey); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	s.SetHabits(Habits{IgnoreWrites: true})
	for _, path := range []string{"/licenses/11/disable/", "/licenses/13/enable/", "/devices/2000000001/reset/"} {
		if status, body := manage(t, s, "POST", path, managementKey); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	has(true, "/licenses/11/", `"enabled":true`)
	has(true, "/licenses/13/", `"enabled":false`)
	has(true, "/devices/2000000001/", `"device_active":true`)
	if err := s.Fail(); err != nil {
		t.Fatal(err)
	}
	if status, _ := manage(t, s, "POST", "/licenses/11/disable/", managementKey); status != 200 {
		t.Error("Fail without names did not end the habits")
	}
	has(true, "/licenses/11/", `"enabled":false`)
}

func TestManagementLimitsAreItsOwn(t *testing.T) {
	t.Parallel()
	s := newManaged(t)
	s.LimitManagement(Limits{PerMinute: 2})
	for i, want := range []int{200, 200, 429} {
		if status, _ := manage(t, s, "GET", "/licenses/", managementKey); status != want {
			t.Errorf("call %d: %d, want %d", i+1, status, want)
		}
	}
	if _, code := said(t, s, newRequest(t, oneDevice, nil)); code != success {
		t.Errorf("the License API is limited too: %s", code)
	}
	s.LimitManagement(Limits{})
	if status, _ := manage(t, s, "GET", "/licenses/", managementKey); status != 200 {
		t.Errorf("without a limit: %d", status)
	}
	if got := s.Counts().Answers["management_429"]; got != 1 {
		t.Errorf("%d answers of 429 are counted", got)
	}
}

func TestManagementCallsAreNumbered(t *testing.T) {
	t.Parallel()
	s := newManaged(t)
	var got []ManagementCall
	s.OnManagementCall(func(c ManagementCall) Fault {
		got = append(got, c)
		return Fault{}
	})
	for _, path := range []string{"/licenses/?license_key=K1", "/licenses/?license_key=K1", "/licenses/11/"} {
		manage(t, s, "GET", path, managementKey)
	}
	want := []ManagementCall{
		{Number: 1, Times: 1, Method: "GET", Path: "/licenses/", Query: map[string][]string{"license_key": {"K1"}}},
		{Number: 2, Times: 2, Method: "GET", Path: "/licenses/", Query: map[string][]string{"license_key": {"K1"}}},
		{Number: 3, Times: 1, Method: "GET", Path: "/licenses/11/", Query: map[string][]string{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAStateFileWithOrdersIsRead(t *testing.T) {
	t.Parallel()
	const file = `{"management_api_keys":["m"],"licenses":[{"id":7,"product":"XY","license_key":"K","order":"o","subscription":"s",
		"customer_email":"e","devices":["hw1"],"inactive_devices":["hw1","hw1"],"created_at":"2026-01-02T03:04:05Z",
		"time_disabled":"2026-01-02T03:04:06Z","activated":{"hw1":"2026-01-02T03:04:07Z"},"product_id":5}]}`
	var state State
	dec := json.NewDecoder(strings.NewReader(file))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&state); err != nil {
		t.Fatal(err)
	}
	s, err := New(state)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(state, s.State()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNewNamesFaultsOfTheManagementHalf(t *testing.T) {
	t.Parallel()
	_, err := New(State{
		ManagementAPIKeys: []string{"ok", " secret"},
		Licenses: []License{
			{ID: 1, Product: "XY", LicenseKey: "secret1"},
			{ID: 1, Product: "XY", LicenseKey: "secret2"},
			{Product: "XY", LicenseKey: "secret3", InactiveDevices: []string{""}},
			{ID: -1, Product: "XY", LicenseKey: "secret4"},
			{Product: "XY", LicenseKey: "secret5"},
			{Product: "XY", LicenseKey: "secret6"},
		},
	})
	if err == nil {
		t.Fatal("got nil")
	}
	for _, want := range []string{"management_api_keys[1]:", "licenses[1]: the same id as licenses[0]", "licenses[2]: inactive_devices", "licenses[3]: id"} {
		if !strings.Contains(err.Error(), "licenseapitest: "+want) {
			t.Errorf("%s is not named in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "licenses[4]") || strings.Contains(err.Error(), "licenses[5]") {
		t.Errorf("a value, or a good row, is named in:\n%v", err)
	}
}
