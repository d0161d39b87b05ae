package managementapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/pkg/licenseapi/licenseapitest"
)

const testKey = "management-key-7e6b"

// created is in the fake's own resolution.
func created() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// testAPI starts the fake with two orders, and returns a client for it.
func testAPI(t testing.TB, change func(*Config)) (*licenseapitest.Server, *Client) {
	t.Helper()
	api, err := licenseapitest.New(licenseapitest.State{
		ManagementAPIKeys: []string{testKey},
		Licenses: []licenseapitest.License{
			{ID: 1593781720493289, Product: "XY", ProductID: 5, LicenseKey: "AAAA-BBBB-CCCC-DDDD", Order: "order-1", Subscription: "sub-1",
				CustomerEmail: "a@example.com", Devices: []string{"hw1", "hw2"}, InactiveDevices: []string{"hw1"}, CreatedAt: created(),
				Activated: map[string]time.Time{"hw2": created().Add(time.Minute)}},
			{ID: 12, Product: "XY", ProductID: 5, LicenseKey: "AAAA-BBBB-CCCC-EEEE", Order: "order-1", CustomerEmail: "a@example.com"},
			{ID: 13, Product: "US", ProductID: 6, Username: "u@example.com", Password: "initial-password", Order: "order-12", Devices: []string{"hw1"}},
		},
	}, licenseapitest.KeepLedger())
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := api.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	cfg := Config{BaseURL: licenseapitest.ManagementURL(url), Key: testKey}
	if change != nil {
		change(&cfg)
	}
	client, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return api, client
}

// answering returns a client whose every request gets this answer.
func answering(t testing.TB, answer func(*http.Request) (*http.Response, error)) *Client {
	t.Helper()
	client, err := New(Config{BaseURL: "https://saas.licensespring.com/api/v1/", Key: testKey, Now: created})
	if err != nil {
		t.Fatal(err)
	}
	client.transport = roundTrip(answer)
	return client
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func response(status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

func TestNewNamesEveryBadField(t *testing.T) {
	t.Parallel()
	_, err := New(Config{BaseURL: "http://example.com/api/v1", Key: "canary key", CallsInFlight: -1, UserAgent: "canary\n"})
	if err == nil {
		t.Fatal("got nil")
	}
	for _, want := range []string{"BaseURL: must be https", "Key: must be printable", "CallsInFlight: must be", "UserAgent: must be"} {
		if !strings.Contains(err.Error(), "managementapi: "+want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a value is in %v", err)
	}
	if _, err := New(Config{BaseURL: "http://127.0.0.1:1/api/v1"}); err != nil {
		t.Errorf("loopback: %v", err)
	}
}

func TestLicensesAreListedByAnExactFilter(t *testing.T) {
	t.Parallel()
	_, client := testAPI(t, nil)
	first := License{
		ID: 1593781720493289, Key: "AAAA-BBBB-CCCC-DDDD", Order: "order-1", Subscription: "sub-1", Status: "Active", Enabled: true,
		TimesActivated: 3, ActiveDevices: 2, Product: Product{ID: 5, ShortCode: "XY"},
		Customer: Customer{ID: 3000000001, Email: "a@example.com"}, CreatedAt: created(),
	}
	second := License{
		ID: 12, Key: "AAAA-BBBB-CCCC-EEEE", Order: "order-1", Status: "Inactive", Enabled: true,
		Product: Product{ID: 5, ShortCode: "XY"}, Customer: Customer{ID: 3000000001, Email: "a@example.com"},
	}
	user := License{
		ID: 13, Order: "order-12", Status: "Active", Enabled: true, TimesActivated: 1, ActiveDevices: 1,
		Product: Product{ID: 6, ShortCode: "US", UserBased: true}, Customer: Customer{ID: 3000000002}, Users: []string{"u@example.com"},
	}
	for _, c := range []struct {
		by   Filter
		want []License
	}{
		{ByOrder("order-1"), []License{first, second}},
		{ByLicenseKey("AAAA-BBBB-CCCC-EEEE"), []License{second}},
		{BySubscription("sub-1"), []License{first}},
		{ByOrder("order-12"), []License{user}},
		{ByOrder("ORDER-1"), nil},
		{ByOrder("order-1&order__store_id=order-12"), nil},
	} {
		got, err := client.Licenses(t.Context(), c.by, 10)
		if err != nil || !got.Whole || got.Count != len(c.want) || !cmp.Equal(got.Records, c.want) {
			t.Errorf("%v: %v, %d of %d, whole: %v", c.by, err, len(got.Records), got.Count, got.Whole)
		}
		for _, l := range got.Records {
			if !c.by.Matches(l) {
				t.Errorf("%v does not match what it found", c.by)
			}
		}
	}
	if !user.UserBased() || first.UserBased() || (License{}).UserBased() {
		t.Error("a license is of the wrong kind")
	}
	got, err := client.License(t.Context(), 13)
	if err != nil || !cmp.Equal(got, user) {
		t.Errorf("License: %v %v", got, err)
	}
}

func TestMatchesComparesByteForByte(t *testing.T) {
	t.Parallel()
	license := License{Key: "Key", Order: "Order", Subscription: "Sub"}
	for _, f := range []Filter{ByLicenseKey("Key"), ByOrder("Order"), BySubscription("Sub")} {
		if !f.Matches(license) {
			t.Errorf("%v does not match", f)
		}
	}
	for _, f := range []Filter{{}, ByLicenseKey("key"), ByLicenseKey("Key "), ByOrder("Orde"), ByOrder("Key"), BySubscription("sub"), BySubscription("")} {
		if f.Matches(license) {
			t.Errorf("%#v matches", f)
		}
	}
}

func TestDevicesAreListed(t *testing.T) {
	t.Parallel()
	api, client := testAPI(t, nil)
	got, err := client.Devices(t.Context(), 1593781720493289, 10)
	want := []Device{
		{ID: 2000000001, HardwareID: "hw1", Active: true, License: 1593781720493289, LicenseKey: "AAAA-BBBB-CCCC-DDDD"},
		{ID: 2000000002, HardwareID: "hw2", Active: true, License: 1593781720493289, LicenseKey: "AAAA-BBBB-CCCC-DDDD", TimeActivated: created().Add(time.Minute)},
		{ID: 2000000003, HardwareID: "hw1", License: 1593781720493289, LicenseKey: "AAAA-BBBB-CCCC-DDDD"},
	}
	if err != nil || !got.Whole || !cmp.Equal(got.Records, want) {
		t.Errorf("%v %v", got, err)
	}
	for i := range want {
		want[i].LicenseKey = ""
	}
	api.SetHabits(licenseapitest.Habits{NumberedLicenses: true})
	if numbered, err := client.Devices(t.Context(), 1593781720493289, 10); err != nil || !cmp.Equal(numbered.Records, want) {
		t.Errorf("license as a number: %v %v", numbered, err)
	}
	if got, err := client.Devices(t.Context(), 12, 10); err != nil || got.Count != 0 || !got.Whole {
		t.Errorf("no devices: %v %v", got, err)
	}
	for _, id := range []int64{0, -1} {
		if _, err := client.Devices(t.Context(), id, 10); !errors.Is(err, ErrFilter) {
			t.Errorf("license %d: %v", id, err)
		}
	}
}

func TestWritesReachOneRecord(t *testing.T) {
	t.Parallel()
	api, client := testAPI(t, nil)
	for _, act := range []func() error{
		func() error { return client.Disable(t.Context(), 12) },
		func() error { return client.Disable(t.Context(), 12) },
		func() error { return client.Enable(t.Context(), 12) },
		func() error { return client.ResetDevice(t.Context(), 2000000004) },
	} {
		if err := act(); err != nil {
			t.Error(err)
		}
	}
	want := []licenseapitest.Write{
		{Act: "disable", License: 12}, {Act: "disable", License: 12, Code: "http_200"}, {Act: "enable", License: 12},
		{Act: "reset_device", License: 13, Device: "hw1"},
	}
	if diff := cmp.Diff(want, api.Ledger()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, err := range []error{client.Disable(t.Context(), 99), client.Enable(t.Context(), 99), client.ResetDevice(t.Context(), 99)} {
		if KindOf(err) != KindNotFound || CodeOf(err) != "http_404" {
			t.Errorf("an unknown id: %v", err)
		}
	}
}

func TestRequestsAreAsDocumented(t *testing.T) {
	t.Parallel()
	var got []string
	client := answering(t, func(r *http.Request) (*http.Response, error) {
		got = append(got, r.Method+" "+r.URL.String())
		if r.Header.Get("Authorization") != "Api-Key "+testKey || r.Header.Get("Accept") != "application/json" ||
			r.Header.Get("User-Agent") != "license-deactivator" || r.Body != nil {
			t.Errorf("headers %v", r.Header)
		}
		return response(200, nil, `{"count":0,"results":[]}`), nil
	})
	_, _ = client.Licenses(t.Context(), ByOrder("A&B #1"), 10)
	_, _ = client.Devices(t.Context(), 7, 10)
	_, _ = client.License(t.Context(), 7)
	_ = client.Disable(t.Context(), 7)
	_ = client.Enable(t.Context(), 7)
	_ = client.ResetDevice(t.Context(), 8)
	const base = "https://saas.licensespring.com/api/v1"
	want := []string{
		"GET " + base + "/licenses/?limit=100&offset=0&order__store_id=A%26B+%231&order_by=created_at",
		"GET " + base + "/devices/?license=7&limit=100&offset=0&order_by=created_at",
		"GET " + base + "/licenses/7/",
		"POST " + base + "/licenses/7/disable/",
		"POST " + base + "/licenses/7/enable/",
		"POST " + base + "/devices/8/reset/",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFiltersAreRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	client := answering(t, func(*http.Request) (*http.Response, error) {
		t.Error("something was sent")
		return response(200, nil, `{}`), nil
	})
	for _, value := range []string{
		"", "1", "ab", "äö", " order", "order ", "or\nder", "or\x00der", "or\xffder", strings.Repeat("x", 257),
		"null", "NULL", "None", "undefined", "unknown", "n/a", "nil", "false", "000", "---", "xxx", "N/A",
		"subscription_empty", "order-null", "order none", "{{id}}", "${order}", "<order_id>", "%id%", "[object Object]", "trial_1702983098133439",
	} {
		_, err := client.Licenses(t.Context(), ByOrder(value), 10)
		if !errors.Is(err, ErrFilter) || KindOf(err) != KindRejected || CodeOf(err) != "invalid_filter" {
			t.Errorf("%q: got %v", value, err)
		}
		if len(value) > 8 && strings.Contains(err.Error(), value) {
			t.Errorf("the value is in %v", err)
		}
	}
	if _, err := client.Licenses(t.Context(), Filter{}, 10); !errors.Is(err, ErrFilter) {
		t.Errorf("no filter: %v", err)
	}
	for _, value := range []string{"123", "1111", "pi_3Nx", "gid://shopify/Order/1", "#1001", "trial_x", "nonexistent", "ABCnull", "日本語"} {
		if err := ByOrder(value).Check(); err != nil {
			t.Errorf("%q: %v", value, err)
		}
	}
	for _, key := range []string{"trial_1702983098133439", "AAAA-BBBB-CCCC-NULL", "AAAA-BBBB-CCCC-NONE"} {
		if err := ByLicenseKey(key).Check(); err != nil {
			t.Errorf("the key %s: %v", key, err)
		}
	}
	if err := ByLicenseKey("null").Check(); !errors.Is(err, ErrFilter) {
		t.Errorf("no key: %v", err)
	}
}

func TestAClientWithoutAKeySendsNothing(t *testing.T) {
	t.Parallel()
	client, err := New(Config{BaseURL: "https://saas.licensespring.com/api/v1"})
	if err != nil {
		t.Fatal(err)
	}
	client.transport = roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("something was sent")
		return response(200, nil, "{}"), nil
	})
	if err := client.Disable(t.Context(), 1); !errors.Is(err, ErrNoKey) || KindOf(err) != KindMisconfigured || CodeOf(err) != "no_key" {
		t.Errorf("got %v", err)
	}
	for _, key := range []string{"", " ", "canary\n", "canary key"} {
		if _, err := client.With(key); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: got %v", key, err)
		}
	}
	_, fake := testAPI(t, func(cfg *Config) { cfg.Key = "wrong" })
	if _, err := fake.License(t.Context(), 12); KindOf(err) != KindUnauthorized {
		t.Errorf("a wrong key: %v", err)
	}
	right, err := fake.With(testKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := right.License(t.Context(), 12); err != nil {
		t.Errorf("the right key: %v", err)
	}
}

func TestPagesAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	devices := make([]string, 250)
	for i := range devices {
		devices[i] = "hw" + strconv.Itoa(i)
	}
	api, err := licenseapitest.New(licenseapitest.State{
		ManagementAPIKeys: []string{testKey},
		Licenses:          []licenseapitest.License{{ID: 1, Product: "XY", LicenseKey: "K", Devices: devices}},
	})
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := api.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	client, err := New(Config{BaseURL: licenseapitest.ManagementURL(url), Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		habits        licenseapitest.Habits
		most          int
		records       int
		whole         bool
		calls         int
		unreadable    string
		unreadableIn2 string
	}{
		{most: 250, records: 250, whole: true, calls: 3},
		{most: 249, records: 100, calls: 1},
		{habits: licenseapitest.Habits{PageSize: 90}, most: 250, records: 250, whole: true, calls: 3},
		{habits: licenseapitest.Habits{PageSize: 20}, most: 250, records: 250, whole: true, calls: 13}, // the cut is noticed
		{habits: licenseapitest.Habits{PageSize: 100, ShiftPages: true}, most: 250, calls: 2, unreadable: "changed between two pages"},
		{habits: licenseapitest.Habits{Duplicates: true}, most: 1000, calls: 3, unreadable: "there twice"},
	} {
		api.SetHabits(c.habits)
		before := api.Counts().Management
		got, err := client.Devices(t.Context(), 1, c.most)
		if calls := api.Counts().Management - before; calls != c.calls || len(got.Records) != c.records || got.Whole != c.whole {
			t.Errorf("%+v: %d calls, %d records, whole: %v", c, calls, len(got.Records), got.Whole)
		}
		if c.unreadable == "" && err != nil || c.unreadable != "" && (err == nil || !strings.Contains(err.Error(), c.unreadable) ||
			KindOf(err) != KindUnavailable || CodeOf(err) != "unreadable") {
			t.Errorf("%+v: %v", c, err)
		}
		if c.whole && got.Records[249].HardwareID != "hw249" {
			t.Errorf("%+v: the last record is %v", c, got.Records[249])
		}
	}
}

func TestEveryRequestGoesThroughTheHook(t *testing.T) {
	t.Parallel()
	calls := 0
	errLimiter := errors.New("no call is free")
	_, client := testAPI(t, func(cfg *Config) {
		cfg.Through = func(ctx context.Context, request func(context.Context) error) error {
			if calls++; calls > 3 {
				return errLimiter
			}
			return request(ctx)
		}
	})
	if _, err := client.Devices(t.Context(), 12, 10); err != nil || calls != 1 {
		t.Errorf("%v, %d calls", err, calls)
	}
	if _, err := client.License(t.Context(), 99); KindOf(err) != KindNotFound || strings.Count(err.Error(), "managementapi") != 1 {
		t.Errorf("an answer: %v", err)
	}
	_ = client.Disable(t.Context(), 12)
	err := client.Disable(t.Context(), 12)
	if !errors.Is(err, errLimiter) || KindOf(err) != KindUnavailable || err.Error() != "managementapi: disable: no call is free" {
		t.Errorf("the limiter's own error: %v", err)
	}
	if l, err := client.License(t.Context(), 12); err == nil {
		t.Errorf("got %v without a request", l)
	}
}

// TestTheHookSeesThatAPageIsNoAnswer: a breaker counts it as an outage. Of a write every 200 is an answer.
func TestTheHookSeesThatAPageIsNoAnswer(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{"<html>": "unreadable", "": "unreadable", "[]": "unreadable", " {}": ""} {
		var seen error
		client := answering(t, func(*http.Request) (*http.Response, error) { return response(200, nil, body), nil })
		client.through = func(ctx context.Context, request func(context.Context) error) error {
			seen = request(ctx)
			return seen
		}
		if _, err := client.Licenses(t.Context(), ByOrder("order-1"), 10); CodeOf(seen) != want || CodeOf(err) != "unreadable" {
			t.Errorf("%q: %v, and the hook sees %v", body, err, seen)
		}
		if err := client.Disable(t.Context(), 7); err != nil || seen != nil {
			t.Errorf("%q after a write: %v, and the hook sees %v", body, err, seen)
		}
	}
}

// TestRecordsAreReadLeniently reads what the samples, the SDKs and other versions may send.
func TestRecordsAreReadLeniently(t *testing.T) {
	t.Parallel()
	list := func(record string) (License, error) {
		client := answering(t, func(*http.Request) (*http.Response, error) {
			return response(200, nil, "\xEF\xBB\xBF"+`{"count":"1","next":null,"results":[`+record+`]}`), nil
		})
		found, err := client.Licenses(t.Context(), ByOrder("order-1"), 10)
		if err != nil {
			return License{}, err
		}
		return found.Records[0], nil
	}
	want := License{ID: 7, Key: "K-1", Order: "1001", Enabled: true, ActiveDevices: 2, Product: Product{ID: 5, ShortCode: "XY"}, CreatedAt: created()}
	for _, record := range []string{
		`{"id":7,"license_key":"K-1","order_store_id":"1001","enabled":true,"total_active_devices":2,"product":{"id":5,"short_code":"XY"},"created_at":"2026-01-02T03:04:05Z"}`,
		`{"id":"7","license_key":"K-1","order_store_id":1001,"enabled":1,"total_active_devices":"2","product":{"id":"5","short_code":"XY"},"created_at":"2026-01-02 03:04:05"}`,
		`{"id":7,"LicenseKey":"K-1","orderStoreId":"1001","enabled":"True","totalActive_devices":2,"product_details":{"product_id":5,"short_code":"XY"},"created_at":"2026-01-02T04:04:05+01:00"}`,
		`{"id":7,"license-key":"K-1","order_store_id":"1001","license_enabled":true,"total_active_devices":2,"customer":null,"license_users":null,"product":{"id":5,"product_short_code":"XY"},"created_at":"2026-01-02T03:04:05"}`,
		`{"id":7,"license_key":"K-1","order_store_id":"1001","enabled":true,"total_active_devices":2,"time_disabled":"","product":{"id":5,"short_code":"XY"},"created_at":"2026-01-02T05:04:05+0200"}`,
		`{"id":7,"license_key":"K-1","order_store_id":"1001","enabled":true,"total_active_devices":2,"time_disabled":null,"product":{"id":5,"short_code":"XY"},"created_at":"2026-01-02 02:04:05-01"}`,
	} {
		got, err := list(record)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: %v, %s", record, err, cmp.Diff(want, got))
		}
	}
	for record, why := range map[string]string{
		`7`:                    "a license is no object",
		`null`:                 "a license is no object",
		`{"enabled":true}`:     "a license has no id",
		`{"id":7.5}`:           "a license has no id",
		`{"id":-7}`:            "a license has no id",
		`{"id":7}`:             "a license does not say whether it is enabled",
		`{"id":7,"enabled":3}`: "a license does not say whether it is enabled",
		`{"id":7,"enabled":true,"license_key":"A","licenseKey":"B"}`: "a license is no object",            // which is meant?
		`{"id":7,"enabled":true,"created_at":"2.1.2026"}`:            "a license's created_at is no time", // not a license without a time
		`{"id":7,"enabled":true,"created_at":1767323045}`:            "a license's created_at is no time",
		`{"id":7,"enabled":true,"time_disabled":{}}`:                 "a license's time_disabled is no time",
		`{"id":7,"enabled":true,"id":8}`:                             "a license is no object",
		`{"id":7,"enabled":true,"enabled":false}`:                    "a license is no object",
		`{"id":7,"enabled":true,"license_key":null,"license_key":1}`: "a license is no object",
	} {
		if _, err := list(record); err == nil || !strings.Contains(err.Error(), why) || CodeOf(err) != "unreadable" {
			t.Errorf("%s: %v, want …%s", record, err, why)
		}
	}
	for status, enabled := range map[string]bool{"Disabled": false, "Active": true, "Inactive": true, "Expired": true} {
		got, err := list(`{"id":7,"status":"` + status + `"}`)
		if err != nil || got.Enabled != enabled || got.ActiveDevices != -1 {
			t.Errorf("%s without enabled: %v %v", status, got, err)
		}
	}
}

func TestDeviceRecordsAreReadLeniently(t *testing.T) {
	t.Parallel()
	list := func(record string) (Device, error) {
		client := answering(t, func(*http.Request) (*http.Response, error) {
			return response(200, nil, `{"count":1,"results":[`+record+`]}`), nil
		})
		found, err := client.Devices(t.Context(), 9, 10)
		if err != nil {
			return Device{}, err
		}
		return found.Records[0], nil
	}
	for record, want := range map[string]Device{
		`{"id":7,"hardware_id":"hw","device_active":true,"license":9}`:                               {ID: 7, HardwareID: "hw", Active: true, License: 9},
		`{"id":7,"hardware_id":"hw","device_active":true,"license":"9"}`:                             {ID: 7, HardwareID: "hw", Active: true, License: 9},
		`{"id":7,"hardware_id":"hw","device_active":false,"license":{"id":9,"license_key":null}}`:    {ID: 7, HardwareID: "hw", License: 9},
		`{"id":7,"hardware_id":"hw","device_active":"true","license":{"id":"9"},"blacklisted":true}`: {ID: 7, HardwareID: "hw", Active: true, License: 9, Blacklisted: true},
		`{"id":7,"hardware_id":"hw","device_active":true}`:                                           {ID: 7, HardwareID: "hw", Active: true},
		`{"id":7,"hardware_id":"hw","device_active":true,"license":null}`:                            {ID: 7, HardwareID: "hw", Active: true},
		`{"id":7,"hardware_id":"hw","device_active":true,"license":{}}`:                              {ID: 7, HardwareID: "hw", Active: true},
	} {
		if got, err := list(record); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: %v %v", record, got, err)
		}
	}
	for record, why := range map[string]string{
		`[]`: "a device is no object",
		`{"hardware_id":"hw","device_active":true,"license":9}`:                                "a device has no id",
		`{"id":7,"hardware_id":"hw","license":9}`:                                              "a device does not say whether it is active",
		`{"id":7,"device_active":true,"license":9}`:                                            "a device has no hardware_id",
		`{"id":7,"hardware_id":"hw","device_active":true,"license":9,"time_activated":"soon"}`: "a device's time_activated is no time",
		`{"id":7,"hardware_id":"hw","device_active":true,"license":9,"hardware_id":"other"}`:   "a device is no object",
	} {
		if _, err := list(record); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want …%s", record, err, why)
		}
	}
}

func TestListsThatCannotBeReadAreErrors(t *testing.T) {
	t.Parallel()
	for body, why := range map[string]string{
		"":                                      "no JSON object",
		"<html>":                                "no JSON object",
		"[]":                                    "no JSON object",
		`{"results":[]}`:                        "no count",
		`{"count":-1,"results":[]}`:             "no count",
		`{"count":1.5,"results":[]}`:            "no count",
		`{"count":99999999999999,"results":[]}`: "no count",
		`{"count":1}`:                           "no results",
		`{"count":1,"results":null}`:            "no results",
		`{"count":1,"results":{}}`:              "no results",
		`{"count":1,"results":[]}`:              "ends before its count",
		`{"count":0,"count":1,"results":[]}`:    "no JSON object",
		`{"count":0,"results":[]}{}`:            "no JSON object",
		`{"count":1,"results":[{"id":1,"enabled":true},{"id":2,"enabled":true}]}`: "more records than it counts",
		`{"count":2,"results":[{"id":1,"enabled":true},{"id":1,"enabled":true}]}`: "there twice",
	} {
		client := answering(t, func(*http.Request) (*http.Response, error) { return response(200, nil, body), nil })
		if _, err := client.Licenses(t.Context(), ByOrder("order-1"), 10); err == nil || !strings.Contains(err.Error(), why) || KindOf(err) != KindUnavailable {
			t.Errorf("%s: %v, want …%s", body, err, why)
		}
	}
	long := answering(t, func(*http.Request) (*http.Response, error) {
		return response(200, nil, `{"count":0,"results":[]}`+strings.Repeat(" ", maxReplyBytes)), nil
	})
	if _, err := long.Licenses(t.Context(), ByOrder("order-1"), 10); CodeOf(err) != "unreadable" {
		t.Errorf("a reply that is too long: %v", err)
	}
	other := answering(t, func(*http.Request) (*http.Response, error) { return response(200, nil, `{"id":8,"enabled":true}`), nil })
	if _, err := other.License(t.Context(), 7); CodeOf(err) != "unreadable" || !strings.Contains(err.Error(), "another license") {
		t.Errorf("another license: %v", err)
	}
}

func TestAnswersAreJudgedByStatus(t *testing.T) {
	t.Parallel()
	const detail = `{"detail":"Authentication credentials were not provided."}`
	for _, c := range []struct {
		status int
		body   string
		list   Kind // of a list
		object Kind // of a write
	}{
		{201, "{}", KindUnavailable, KindUnavailable},
		{204, "", KindUnavailable, KindUnavailable},
		{301, "", KindMisconfigured, KindMisconfigured},
		{400, `{"license":["Select a valid choice."]}`, KindRejected, KindRejected},
		{400, `<html>blocked</html>`, KindUnavailable, KindUnavailable},
		{400, "", KindUnavailable, KindUnavailable},
		{401, "", KindUnauthorized, KindUnauthorized},
		{403, detail, KindUnauthorized, KindUnauthorized},
		{403, "<html>", KindUnavailable, KindUnavailable},
		{403, "", KindUnavailable, KindUnavailable},
		{404, `{"detail":"Not found."}`, KindMisconfigured, KindNotFound},
		{404, "<html>lost</html>", KindMisconfigured, KindUnavailable},
		{405, "", KindMisconfigured, KindMisconfigured},
		{408, "", KindUnavailable, KindUnavailable},
		{409, "", KindRejected, KindRejected},
		{429, "", KindRateLimited, KindRateLimited},
		{500, "<html>", KindUnavailable, KindUnavailable},
		{503, detail, KindUnavailable, KindUnavailable},
	} {
		client := answering(t, func(*http.Request) (*http.Response, error) { return response(c.status, nil, c.body), nil })
		_, err := client.Licenses(t.Context(), ByOrder("order-1"), 10)
		if KindOf(err) != c.list || CodeOf(err) != "http_"+strconv.Itoa(c.status) {
			t.Errorf("a list, %d %s: %v, %v", c.status, c.body, KindOf(err), err)
		}
		if err := client.Disable(t.Context(), 7); KindOf(err) != c.object {
			t.Errorf("a write, %d %s: %v, %v", c.status, c.body, KindOf(err), err)
		}
	}
	if KindOf(nil) != KindNone || CodeOf(nil) != "" {
		t.Error("nil is an error")
	}
	names := map[string]bool{}
	for k := Kind(0); k <= KindRejected+1; k++ {
		names[k.String()] = true
	}
	if len(names) != int(KindRejected)+2 || !names["kind(0)"] {
		t.Errorf("names %v", names)
	}
}

func TestErrorsSayWhatIsNeededAndNothingSecret(t *testing.T) {
	t.Parallel()
	client := answering(t, func(*http.Request) (*http.Response, error) {
		return response(429, http.Header{"Retry-After": {"30"}, "X-Request-Id": {"r-1"}},
			`{"license_key":["no AAAA-BBBB-CCCC-DDDD for `+testKey+`"]}`), nil
	})
	_, err := client.Licenses(t.Context(), ByLicenseKey("AAAA-BBBB-CCCC-DDDD"), 10)
	answer, ok := errors.AsType[*Error](err)
	want := &Error{Op: "list_licenses", Status: 429, Detail: "license_key: no [removed] for [removed]", RequestID: "r-1", RetryAfter: 30 * time.Second}
	if !ok || !cmp.Equal(answer, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if text := err.Error(); text != "managementapi: list_licenses: 429: license_key: no [removed] for [removed] (request r-1)" {
		t.Error(text)
	}
	broken := answering(t, func(*http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("malformed response %q after AAAA-BBBB-CCCC-DDDD", "Api-Key "+testKey)
	})
	_, err = broken.Licenses(t.Context(), ByLicenseKey("AAAA-BBBB-CCCC-DDDD"), 10)
	if CodeOf(err) != "connection" || KindOf(err) != KindUnavailable || strings.Contains(err.Error(), testKey) || strings.Contains(err.Error(), "DDDD") {
		t.Errorf("got %v", err)
	}
}

// TestRecordsPrintNothingSecret prints records in every possible way.
func TestRecordsPrintNothingSecret(t *testing.T) {
	t.Parallel()
	license := License{ID: 7, Key: "CANARY-CANARY-1234", Order: "canary", Customer: Customer{Email: "canary@example.com"}, Users: []string{"canary"}}
	device := Device{ID: 8, HardwareID: "canary-canary-5678", License: 7}
	type holder struct {
		L License
		D *Device
		F Filter
	}
	held := holder{license, &device, ByOrder("canary")}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		for _, v := range []any{license, &license, device, held, held.F, []any{license, device, held.F}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	for _, logger := range []*slog.Logger{slog.New(slog.NewJSONHandler(&out, nil)), slog.New(slog.NewTextHandler(&out, nil))} {
		logger.Info("x", "l", license, "d", device, "f", held.F, "held", held)
	}
	raw, err := json.Marshal([]any{license, device, held})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(raw)
	if strings.Contains(strings.ToLower(out.String()), "canary") {
		t.Errorf("a secret is in\n%s", out.String())
	}
	if !strings.Contains(out.String(), "…1234") || !strings.Contains(out.String(), "…5678") {
		t.Error("records cannot be distinguished")
	}
}

// TestEveryFaultOfTheFakeIsAnError covers what the real API may do. No fault may pass as a complete and correct list.
func TestEveryFaultOfTheFakeIsAnError(t *testing.T) {
	t.Parallel()
	harmless := []string{"management-flood", "management-null-keys", "management-no-times", "management-repeats-refused",
		"management-writes-ignored", "management-pages-short", "management-foreign-device"}
	for _, fault := range licenseapitest.ManagementFaults() {
		if fault.Name == "management-hang" {
			continue // TestAHangingAPIEndsInATimeout
		}
		t.Run(fault.Name, func(t *testing.T) {
			t.Parallel()
			api, client := testAPI(t, nil)
			if err := api.Fail(fault.Name); err != nil {
				t.Fatal(err)
			}
			by := ByOrder("order-1")
			found, err := client.Licenses(t.Context(), by, 100)
			right := err == nil && found.Whole && len(found.Records) == 2
			for _, l := range found.Records {
				right = right && by.Matches(l)
			}
			if right != slices.Contains(harmless, fault.Name) {
				t.Errorf("%v, %d records, whole: %v", err, len(found.Records), found.Whole)
			}
			if err != nil && (KindOf(err) == KindNone || CodeOf(err) == "") {
				t.Errorf("%v has no kind or no code", err)
			}
		})
	}
}

func TestAHangingAPIEndsInATimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := answering(t, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		begin := time.Now()
		err := client.Disable(t.Context(), 7)
		if time.Since(begin) != 5*time.Second || CodeOf(err) != "timeout" || KindOf(err) != KindUnavailable {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}
