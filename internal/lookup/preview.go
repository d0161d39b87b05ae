package lookup

import (
	"context"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/managementapi"
)

// Preview is what Run would do with a request, found by reads alone.
type Preview struct {
	Result   Result    // as of Run in watch mode
	Licenses []Planned // of the request, also where a review holds it; none: no license was found
}

// Acts reports whether nothing holds the request: Run would write what Licenses say.
func (p Preview) Acts() bool { return p.Result.Reason == deactivation.ReasonWatched }

// Planned is one license and what would be done with it. Its devices are not read where a review held the request
// before.
type Planned struct {
	License managementapi.License
	Free    []managementapi.Device // active devices that would be deactivated
	Late    []managementapi.Device // active devices that would be left alone
	Disable bool                   // the license would be disabled
}

// Preview reads what Run reads and writes nothing, whatever job says about it. A request without a license has the code
// CodeNoLicense.
func (l *Lookup) Preview(ctx context.Context, job Job) Preview {
	job.Watch = true
	s := l.saga(job)
	p := Preview{Result: s.result(ctx)}
	for _, t := range s.targets {
		p.Licenses = append(p.Licenses, Planned{License: t.License, Free: t.free, Late: t.late, Disable: t.disable})
	}
	return p
}
