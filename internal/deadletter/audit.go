package deadletter

import "license-deactivator/internal/deactivation"

// AuditItems are the items of the audit line of the beginning: each letter that the plan moves, and each request that it makes
// of an event.
func (p *Plan) AuditItems() []deactivation.AuditItem {
	var items []deactivation.AuditItem
	for i := range p.Steps {
		if s := &p.Steps[i]; !s.isKept() {
			items = append(items, s.auditItems()...)
		}
	}
	return items
}

// AuditLeft are the items of the audit line of the end: those of the letters that were to be moved and were not (Look.Left).
// why says why; it may be nil.
func (p *Plan) AuditLeft(left []*Letter, why error) []deactivation.AuditItem {
	detail := ""
	if why != nil {
		detail = deactivation.CleanText(why.Error())
	}
	isLeft := map[*Letter]bool{}
	for _, l := range left {
		isLeft[l] = true
	}
	var items []deactivation.AuditItem
	for i := range p.Steps {
		if isLeft[p.Steps[i].Letter] {
			items = append(items, p.Steps[i].auditItems()...)
		}
	}
	for i := range items {
		items[i].Outcome, items[i].Detail = deactivation.AuditKept, detail
	}
	return items
}

// auditItems are the step's letter, and the requests that are made of it.
func (s *Step) auditItems() []deactivation.AuditItem {
	items := []deactivation.AuditItem{s.Letter.auditItem(s.decision())}
	for _, r := range s.Made {
		items = append(items, r.AuditItem(deactivation.AuditMade))
	}
	return items
}

// decision is what is done with the step's letter, in the words of the audit.
func (s *Step) decision() string {
	switch s.Way {
	case Purged:
		return deactivation.AuditPurged
	case Released:
		return deactivation.AuditReleased
	case Mapped:
		return deactivation.AuditMapped
	}
	return deactivation.AuditUnchanged
}

func (l *Letter) auditItem(decision string) deactivation.AuditItem {
	item := deactivation.AuditItem{Decision: decision}
	switch {
	case l.Request != nil:
		item = l.Request.AuditItem(decision)
	case l.Event != nil:
		item.Event, item.Order = deactivation.CleanText(l.Event.ID), deactivation.JoinTexts(l.Event.Order)
	}
	item.ID, item.Source = deactivation.CleanText(l.ID()), deactivation.CleanText(l.Source)
	item.Reason, item.Code = l.Reason, deactivation.CleanText(l.Code)
	return item
}
