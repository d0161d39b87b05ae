package managementapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"time"
)

// Device is one activation of a license on a computer. LicenseSpring makes a new record for each, so a hardware id may
// occur more than once, active or not. Only its ids and the hardware id's end are printed.
//
// Source: https://docs.licensespring.com/management-api/device/retrieve-device
type Device struct {
	ID              int64
	HardwareID      string
	Active          bool   // known of every Device: a record that does not say it is an error
	License         int64  // the license's id, which the API gives as a number or inside an object; 0: not there
	LicenseKey      string // from the same object; "": not there, or a user-based license
	Blacklisted     bool
	FloatingInUse   bool
	TimeActivated   time.Time // zero: not known
	TimeDeactivated time.Time // zero: never, or not known
}

// Devices lists the devices of a license, active ones and others, in as many requests as there are pages of 100. When
// there are more than most, it stops after the first page. Errors are the same as for Licenses. A license id below 1 is
// refused with ErrFilter.
//
// Compare each Device.License, and Device.LicenseKey where it is there, with the license before anything is written.
//
// Source: https://docs.licensespring.com/management-api/device/list
func (c *Client) Devices(ctx context.Context, license int64, most int) (List[Device], error) {
	if license < 1 {
		return List[Device]{}, fmt.Errorf("%w: license is no id", ErrFilter)
	}
	query := url.Values{"license": {strconv.FormatInt(license, 10)}}
	return list(ctx, c, opListDevices, "/devices/", query, "", most, parseDevice, func(d Device) int64 { return d.ID })
}

// ResetDevice deactivates a device by its record's id. Use it only for user-based licenses, for which the License API
// would need the password: its effect on the license's transfers is not documented. A nil error means that the API
// answered 200.
//
// Source: https://docs.licensespring.com/management-api/device/reset-device
func (c *Client) ResetDevice(ctx context.Context, device int64) error {
	return c.act(ctx, opResetDevice, "devices", device, "reset/")
}

// parseDevice reads a record. why is "" or what the record lacks.
func parseDevice(raw json.RawMessage) (d Device, why string) {
	f, ok := parseFields(raw)
	if !ok {
		return Device{}, "a device is no object, or has two values for a field"
	}
	timeActivated, activatedKnown := f.time("time_activated")
	timeDeactivated, _ := f.time("time_deactivated")
	d = Device{
		ID: f.id("id"), HardwareID: f.text("hardware_id"), License: f.id("license"),
		TimeActivated: timeActivated, TimeDeactivated: timeDeactivated,
	}
	if license, ok := parseFields(f.get("license")); ok {
		d.License, d.LicenseKey = license.id("id"), license.text("license_key")
	}
	d.Blacklisted, _ = f.boolean("blacklisted")
	d.FloatingInUse, _ = f.boolean("floating_in_use")
	var known bool
	d.Active, known = f.boolean("device_active", "active")
	switch {
	case d.ID < 1:
		return Device{}, "a device has no id"
	case !known:
		return Device{}, "a device does not say whether it is active"
	case d.HardwareID == "":
		return Device{}, "a device has no hardware_id"
	case !activatedKnown:
		return Device{}, "a device's time_activated is no time"
	}
	return d, ""
}

// LogValue implements slog.LogValuer: the ids and the hardware id's end.
func (d Device) LogValue() slog.Value {
	return slog.GroupValue(slog.Int64("id", d.ID), slog.Int64("license", d.License), slog.String("device", shorten(d.HardwareID)))
}

// Format implements fmt.Formatter for every verb, so that no verb shows a hardware id.
func (d Device) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "device %d (%s) of license %d", d.ID, shorten(d.HardwareID), d.License)
}

// MarshalJSON implements json.Marshaler with what LogValue shows.
func (d Device) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID      int64  `json:"id"`
		License int64  `json:"license"`
		Device  string `json:"device"`
	}{d.ID, d.License, shorten(d.HardwareID)})
}
