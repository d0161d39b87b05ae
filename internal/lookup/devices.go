package lookup

import (
	"context"
	"fmt"
	"slices"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/managementapi"
)

// readDevices lists the devices of every license and decides which are to be deactivated. It writes nothing.
func (s *saga) readDevices(ctx context.Context, targets []*target) *Result {
	if !s.wholeLicense() {
		return nil
	}
	total := 0
	for _, t := range targets {
		devices, stop := s.devicesOf(ctx, t.License)
		if stop != nil {
			return stop
		}
		active, late := s.active(t.License, devices)
		report := &s.report.Licenses[t.report]
		report.Active, report.LeftAlone = len(active)+len(late), len(late)
		t.free, t.late = active, late
		if stop := s.checkLate(t, late); stop != nil {
			return stop
		}
		if s.job.Released {
			t.free, t.late, report.LeftAlone = append(t.free, late...), nil, 0
		}
		if t.Key != "" && t.Product.ShortCode == "" && len(t.free) > 0 {
			return s.rejected(CodeMismatch, fmt.Sprintf("license %d says no product code, so its devices cannot be deactivated", t.ID))
		}
		total += len(t.free)
	}
	if total > s.l.cfg.MaxDevices {
		return s.reviewed(CodeTooMany, fmt.Sprintf("%d active devices were found, more than %d", total, s.l.cfg.MaxDevices))
	}
	return nil
}

// devicesOf lists the devices of one license and compares each with it.
func (s *saga) devicesOf(ctx context.Context, l managementapi.License) ([]managementapi.Device, *Result) {
	if stop := s.trusted(ctx, filterOfDevices); stop != nil {
		return nil, stop
	}
	most := readDevices
	if s.job.Released {
		most = readDevicesReleased
	}
	list, err := s.job.Management.Devices(ctx, l.ID, most)
	if err != nil {
		if stop := transient(err); stop != nil {
			return nil, stop
		}
		return nil, refusedFilter(err) // the license is there
	}
	for _, d := range list.Records {
		if d.License != l.ID {
			return nil, s.mismatch(ctx, filterOfDevices,
				fmt.Sprintf("the devices of license %d were asked for, and one of license %d came back", l.ID, d.License))
		}
		if d.LicenseKey != "" && d.LicenseKey != l.Key { // one of the two records is wrong, and a call names the key
			return nil, s.mismatch(ctx, filterOfDevices,
				fmt.Sprintf("the records of license %d and of its device %d have different keys: %s and %s",
					l.ID, d.ID, deactivation.Shorten(l.Key), deactivation.Shorten(d.LicenseKey)))
		}
	}
	if !list.Whole {
		return nil, s.rejected(CodeTooMany, fmt.Sprintf("license %d has %d records of devices, more than are read", l.ID, list.Count))
	}
	return list.Records, nil
}

// active returns the active devices, each once, and separately those that were activated too long after the event. A
// user-based license's devices are reset by record, so there each record counts.
func (s *saga) active(l managementapi.License, devices []managementapi.Device) (active, late []managementapi.Device) {
	event := s.eventTime()
	isLate := map[string]bool{}
	for _, d := range devices {
		if d.Active && !event.IsZero() && d.TimeActivated.After(event.Add(tolerance)) {
			isLate[d.HardwareID] = true // a call names the hardware id: it could hit the late activation
		}
	}
	seen := map[string]bool{}
	for _, d := range devices {
		if !d.Active || !l.UserBased() && seen[d.HardwareID] {
			continue
		}
		seen[d.HardwareID] = true
		if isLate[d.HardwareID] {
			late = append(late, d)
		} else {
			active = append(active, d)
		}
	}
	return active, late
}

// checkLate refuses to disable a license that was activated long after the event: it may have been given back, and only
// a record of the last disabling could show that it was not. If nothing is to be disabled, the late devices are left
// alone.
func (s *saga) checkLate(t *target, late []managementapi.Device) *Result {
	if len(late) == 0 || !t.disable || !t.TimeDisabled.IsZero() {
		return nil // a time of disabling after the event is already a review
	}
	return s.reviewed(CodeGivenBack, fmt.Sprintf("license %d was activated on %s more than a day after the event of %s, "+
		"last at %s: somebody may have given it back", t.ID, count(len(late), "device"), rfc3339(s.eventTime()), rfc3339(lastActivated(late))))
}

func lastActivated(devices []managementapi.Device) time.Time {
	return slices.MaxFunc(devices, func(a, b managementapi.Device) int { return a.TimeActivated.Compare(b.TimeActivated) }).TimeActivated
}
