package lookup

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/managementapi"
)

// act deactivates the devices, then disables the licenses, then reads back. Devices come first: a disabled license may
// refuse their deactivation. The effect of a reset is read back before its license is disabled.
func (s *saga) act(ctx context.Context, f found, targets []*target) Result {
	todo, identities := s.todo(targets)
	buyersDevice := s.request.Buyer && !s.wholeLicense() // confirmed by now
	if len(todo) == 0 && !buyersDevice {
		return s.done(targets)
	}
	var ids []int64
	for _, t := range todo {
		ids = append(ids, t.ID)
	}
	if len(todo) > 0 {
		if stop := s.admit(identities...); stop != nil {
			return *stop
		}
	}
	release, err := s.l.writing.Lock(ctx, ids...)
	if err != nil {
		return *transient(err)
	}
	defer release()

	if buyersDevice {
		if stop := s.freeNamed(ctx); stop != nil {
			return *stop
		}
	}
	waits, stop := s.freeDevices(ctx, todo)
	if stop != nil {
		return *stop
	}
	refusals := map[int64]error{}
	for _, t := range todo {
		if !t.disable || t.waits {
			continue
		}
		if err := s.job.Management.Disable(ctx, t.ID); err != nil {
			if stop := transient(err); stop != nil {
				return *stop
			}
			refusals[t.ID] = err // it may already be disabled: reading back decides
		}
	}
	if len(todo) > 0 {
		if stop := s.readBack(ctx, f, todo, refusals); stop != nil {
			return *stop
		}
	}
	if waits != nil {
		return *waits
	}
	return s.done(targets)
}

// freeDevices deactivates the devices of the licenses. waits is the first result for which only its license has to wait, whose
// disabling is then left to a later receive.
func (s *saga) freeDevices(ctx context.Context, todo []*target) (waits, stop *Result) {
	wait := func(t *target, r *Result) {
		t.waits = true
		if waits == nil {
			waits = r
		}
	}
	for _, t := range todo {
		for _, d := range t.free {
			answer := s.free(ctx, t.License, d)
			if answer.Outcome != deactivation.Deferred {
				s.recordAnswer(t, d, answer)
				continue
			}
			if !answer.OfLicense {
				return nil, deferredBy(answer)
			}
			wait(t, deferredBy(answer))
		}
		active, stop := s.activeAfterReset(ctx, t)
		if stop != nil {
			return nil, stop
		}
		if active != nil {
			wait(t, withoutEffect(CodeStillActive, fmt.Sprintf("device %d of license %d was reset and is active when it is read back", active.ID, t.ID)))
		}
	}
	return waits, nil
}

// activeAfterReset lists the devices of a user-based license again after they were reset, before the license is disabled: no
// other call shows the effect of a reset. It returns the first one that is still active.
func (s *saga) activeAfterReset(ctx context.Context, t *target) (*managementapi.Device, *Result) {
	if !t.UserBased() || len(t.free) == 0 {
		return nil, nil
	}
	devices, stop := s.devicesOf(ctx, t.License)
	if stop != nil {
		return nil, asDeferred(*stop)
	}
	for _, d := range devices {
		if d.Active && slices.ContainsFunc(t.free, func(was managementapi.Device) bool { return was.ID == d.ID }) {
			return &d, nil
		}
	}
	return nil, nil
}

// todo returns the licenses that are to be written to, and the brake's key of each.
func (s *saga) todo(targets []*target) (todo []*target, identities []string) {
	for _, t := range targets {
		if len(t.free) > 0 || t.disable {
			todo, identities = append(todo, t), append(identities, s.identity(t.License))
		}
	}
	return todo, identities
}

// watched is the result in watch mode: what would be written, or that the brake would hold it.
func (s *saga) watched(targets []*target) Result {
	todo, identities := s.todo(targets)
	devices, licenses := 0, 0
	for _, t := range todo {
		devices += len(t.free)
		if t.disable {
			licenses++
		}
	}
	if s.namesDevice() && (!s.request.Buyer || !s.wholeLicense()) {
		identities = append(identities, s.request.Identity())
		if !s.wholeLicense() || len(targets) == 0 {
			devices++ // else it is one of the license's
		}
	}
	r := Result{Outcome: deactivation.Rejected, Reason: deactivation.ReasonWatched, Detail: fmt.Sprintf(
		"would deactivate %s and disable %s: %s", count(devices, "device"), count(licenses, "license"), s.report)}
	if len(identities) > 0 && s.admit(identities...) != nil {
		r.Code = deactivation.CodeSurge
	}
	return r
}

// identity is the brake's key of a license: that of Request.Identity if it has one.
func (s *saga) identity(l managementapi.License) string {
	switch {
	case l.Key != "":
		return deactivation.License{LicenseKey: l.Key}.Identity()
	case s.isNamed(l):
		return s.request.Identity()
	}
	return "license:" + strconv.FormatInt(l.ID, 10)
}

// free deactivates one device: by the License API with the record's own key and product, or by its record if the
// license has no key and no password is known.
func (s *saga) free(ctx context.Context, l managementapi.License, d managementapi.Device) Answer {
	if err := ctx.Err(); err != nil {
		return Answer{Outcome: deactivation.Deferred, Code: managementapi.CodeOf(err), Detail: "no time is left for another device"}
	}
	if l.Key != "" {
		return s.job.Deactivate(ctx, deactivation.License{Product: l.Product.ShortCode, LicenseKey: l.Key, HardwareID: d.HardwareID})
	}
	if s.job.Alone != nil {
		unlock, err := s.job.Alone(ctx, l.Users)
		if err != nil {
			return Answer{Outcome: deactivation.Deferred, Code: managementapi.CodeOf(err), Detail: err.Error(), Err: err}
		}
		defer unlock()
	}
	err := s.job.Management.ResetDevice(ctx, d.ID)
	switch {
	case err == nil:
		return Answer{Outcome: deactivation.Deactivated}
	case managementapi.KindOf(err) == managementapi.KindNotFound:
		return Answer{Outcome: deactivation.AlreadyInactive, Code: managementapi.CodeOf(err)}
	}
	if stop := transient(err); stop != nil {
		return Answer{Outcome: stop.Outcome, Code: stop.Code, Detail: stop.Detail, RetryIn: stop.RetryIn, Fault: stop.Fault, Err: err}
	}
	return Answer{Outcome: deactivation.Rejected, Code: managementapi.CodeOf(err), Detail: err.Error()}
}

// recordAnswer counts the answer for a device. A refused device ends the message once the others are done.
func (s *saga) recordAnswer(t *target, d managementapi.Device, a Answer) {
	report := &s.report.Licenses[t.report]
	switch a.Outcome {
	case deactivation.Deactivated:
		report.Freed++
	case deactivation.AlreadyInactive:
		report.Inactive++
	default:
		report.Rejected++
		s.refuse(a.Code, fmt.Sprintf("device %d (%s) of license %d: %s", d.ID, deactivation.Shorten(d.HardwareID), t.ID, a.Detail))
	}
}

// refuse ends the message as a letter once the rest is done. Its code is the first refusal's, its detail names all.
func (s *saga) refuse(code, detail string) {
	if s.refused == nil {
		s.refused = s.rejected(code, detail)
		return
	}
	s.refused.Detail += "; " + detail
}

// readBack lists the licenses again and compares them with the intended state.
func (s *saga) readBack(ctx context.Context, f found, todo []*target, refusals map[int64]error) *Result {
	after, stop := s.list(ctx, f.candidate)
	if stop != nil {
		return asDeferred(*stop)
	}
	for _, t := range todo {
		at := slices.IndexFunc(after.records, func(l managementapi.License) bool { return l.ID == t.ID })
		if at < 0 {
			return asDeferred(Result{Code: CodeMismatch, Detail: fmt.Sprintf("license %d is missing when its order is read back", t.ID)})
		}
		now := after.records[at]
		report := &s.report.Licenses[t.report]
		report.AfterEnabled, report.AfterActive = now.Enabled, now.ActiveDevices
		if !t.disable || t.waits || !now.Enabled {
			continue
		}
		if err := refusals[t.ID]; err != nil {
			s.refuse(managementapi.CodeOf(err), fmt.Sprintf("license %d is not disabled: %v", t.ID, err))
			continue
		}
		return withoutEffect(CodeStillEnabled, fmt.Sprintf("license %d was disabled and is enabled when it is read back", t.ID))
	}
	s.report.ReadBack = true
	return nil
}

// withoutEffect is the result of a write that the API answered with 200 and that had no effect.
func withoutEffect(code, detail string) *Result {
	return &Result{Outcome: deactivation.Deferred, Code: code, Detail: detail, Fault: faultIgnored}
}

// asDeferred makes a result of reading back a Deferred one: what was written stays, and the next receive lists again.
func asDeferred(r Result) *Result {
	r.Outcome, r.Reason = deactivation.Deferred, ""
	return &r
}

// done returns the result of a run in which every possible write was done.
func (s *saga) done(targets []*target) Result {
	if s.refused != nil {
		return *s.refused
	}
	named := s.report.Named
	if named != nil && named.Outcome == deactivation.Rejected && !s.wholeLicense() {
		return *s.namedResult()
	}
	r := Result{Outcome: deactivation.AlreadyInactive, Code: CodeAlreadyDisabled, Detail: s.report.String()}
	if named != nil && named.Outcome == deactivation.Deactivated {
		r.Outcome = deactivation.Deactivated
	}
	for _, t := range targets {
		report := s.report.Licenses[t.report]
		if report.Freed > 0 || t.disable {
			r.Outcome = deactivation.Deactivated
		}
		r.StillUsable = r.StillUsable || t.Enabled && !t.disable
	}
	switch {
	case r.Outcome == deactivation.Deactivated:
		r.Code = ""
	case r.StillUsable:
		r.Code = CodeNoActiveDevice
	}
	return r
}
