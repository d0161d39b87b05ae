package source

import (
	"cmp"

	"license-deactivator/internal/deactivation"
)

// Draft is a request of an unmappable event as far as it could be read, for a person to complete. Its id is the one that
// the complete request would have.
type Draft struct {
	deactivation.Request
	Missing []string // fields that it lacks, by the License API's names
	Problem string   // why the event is unmappable, where no field is missing
}

// Drafts returns the drafts of a verified delivery: for each event of it that is unmappable one for each license that was
// found, complete or not, and at least one. Its errors are those of Map.
func (s *Source) Drafts(v Verified) ([]Draft, error) {
	read := map[int]facts{}
	mappings, err := s.mapEach(v, Options{}, func(i int, f facts) *trace {
		f.trace = &trace{}
		read[i] = f
		return f.trace
	})
	if err != nil {
		return nil, err
	}
	var drafts []Draft
	for i, m := range mappings {
		if m.Answer != deactivation.Unmappable {
			continue
		}
		f, cause := facts{}, ""
		var needs []need
		if known, ok := read[i]; ok {
			f = known
			for _, l := range f.trace.licenses {
				needs = append(needs, need{foundLicense: foundLicense{License: l.License}})
			}
			for _, r := range f.trace.rules {
				if r.Result == Matched || r.Result == ConditionError {
					cause = r.Cause
				}
			}
			f.trace = nil
		}
		if len(needs) == 0 {
			needs = []need{{}}
		}
		for _, r := range s.drafts(m, cmp.Or(cause, deactivation.CauseManual), f, v, needs) {
			drafts = append(drafts, Draft{Request: r, Missing: r.Missing(), Problem: m.Problem})
		}
	}
	return drafts, nil
}

// drafts makes the requests. An event that cannot be read has no time.
func (s *Source) drafts(m Mapping, cause string, f facts, v Verified, needs []need) []deactivation.Request {
	if f.Exact == nil {
		id := requestIDs(s.Name, m.Event)
		return []deactivation.Request{{
			ID: id(0), Source: s.Name, Origin: deactivation.OriginEvent, Cause: cause, Event: m.EventID(), ReceivedAt: v.ReceivedAt,
		}}
	}
	return s.requests(&m, cause, f, v.ReceivedAt, needs)
}
