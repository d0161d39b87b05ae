package licenseapitest

import "time"

// licenseRecord is a license as the Management API shows it. Fields that no client of ours reads are left out, except
// initial_password: the real API shows it, and a client must not show it.
//
// Source: https://docs.licensespring.com/management-api/license/retrieve-license
type licenseRecord struct {
	ID                 int64          `json:"id"`
	Status             string         `json:"status"`
	Customer           customerRecord `json:"customer"`
	LicenseUsers       []userRecord   `json:"license_users"`
	OrderStoreID       *string        `json:"order_store_id"`
	TotalActiveDevices int            `json:"total_active_devices"`
	Product            productRecord  `json:"product"`
	LicenseKey         *string        `json:"license_key"`
	SubscriptionID     *string        `json:"subscription_id"`
	Active             bool           `json:"active"`
	Enabled            bool           `json:"enabled"`
	TimesActivated     int            `json:"times_activated"`
	IsFloating         bool           `json:"is_floating"`
	IsFloatingCloud    bool           `json:"is_floating_cloud"`
	CreatedAt          *time.Time     `json:"created_at,omitempty"`
	TimeDisabled       *time.Time     `json:"time_disabled,omitempty"`
}

type customerRecord struct {
	ID        int64  `json:"id"`
	Email     string `json:"email"`
	Reference string `json:"reference"`
}

type userRecord struct {
	ID              int64  `json:"id"`
	Email           string `json:"email"`
	TrueEmail       string `json:"true_email"`
	InitialPassword string `json:"initial_password"`
}

type productRecord struct {
	ID                  int64  `json:"id"`
	ShortCode           string `json:"short_code"`
	AuthorizationMethod string `json:"authorization_method"`
}

// deviceRecord is a device as the Management API shows it.
//
// Source: https://docs.licensespring.com/management-api/device/retrieve-device
type deviceRecord struct {
	ID              int64      `json:"id"`
	HardwareID      string     `json:"hardware_id"`
	DeviceActive    bool       `json:"device_active"`
	TimeActivated   *time.Time `json:"time_activated,omitempty"`
	TimeDeactivated *time.Time `json:"time_deactivated"`
	FloatingInUse   bool       `json:"floating_in_use"`
	Blacklisted     bool       `json:"blacklisted"`
	License         any        `json:"license"` // an object, or with Habits.NumberedLicenses a number
}

// licenseRecord shows a row. s.mu is held.
func (s *Server) licenseRecord(r *row) licenseRecord {
	habits := s.management.habits
	record := licenseRecord{
		ID: r.id, Status: "Active", LicenseUsers: []userRecord{}, Enabled: r.enabled(), Active: r.activated, TimesActivated: len(r.devices),
		Customer:     customerRecord{ID: s.management.customers[r.CustomerEmail], Email: r.CustomerEmail},
		OrderStoreID: nullable(r.Order), SubscriptionID: nullable(r.Subscription), LicenseKey: nullable(r.LicenseKey),
		Product: productRecord{ID: s.productID(r), ShortCode: r.Product, AuthorizationMethod: "license-key"},
	}
	if r.Username != "" {
		record.Product.AuthorizationMethod = "user"
		record.LicenseUsers = []userRecord{{ID: r.id, Email: r.Username + "|fake", TrueEmail: r.Username, InitialPassword: r.Password}}
	}
	switch {
	case !r.enabled():
		record.Status = "Disabled"
	case !r.activated:
		record.Status = "Inactive"
	}
	for _, d := range r.devices {
		if d.active {
			record.TotalActiveDevices++
		}
	}
	if habits.NullKeys {
		record.LicenseKey = nil
	}
	if !habits.NoTimes {
		record.CreatedAt, record.TimeDisabled = timeOrNil(r.CreatedAt), timeOrNil(r.TimeDisabled)
	}
	return record
}

// deviceRecord shows a device of a row. s.mu is held.
func (s *Server) deviceRecord(r *row, d device) deviceRecord {
	habits := s.management.habits
	record := deviceRecord{
		ID: d.id, HardwareID: d.hardwareID, DeviceActive: d.active, TimeDeactivated: timeOrNil(d.deactivated),
		License: map[string]any{"id": r.id, "license_key": nullable(r.LicenseKey)},
	}
	if habits.NumberedLicenses {
		record.License = r.id
	}
	if !habits.NoTimes {
		record.TimeActivated = timeOrNil(d.activated)
	}
	return record
}

func (s *Server) productID(r *row) int64 {
	if r.ProductID != 0 {
		return r.ProductID
	}
	return s.management.products[r.Product]
}

func nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(timeUnit)
	return &t
}
