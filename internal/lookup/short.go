package lookup

import (
	"slices"
	"strconv"
	"strings"

	"license-deactivator/internal/deactivation"
)

// shortRunes is the most that Short returns: a column of a table on a terminal.
const shortRunes = 60

// Short is a few words for a table: the candidate that found the licenses, and what was done. "" before any look-up.
//
//	order pi_3Nx: 2 devices freed, disabled
func (r Report) Short() string {
	at := slices.IndexFunc(r.Tried, func(t Attempt) bool { return t.Found > 0 && t.Note == "" })
	if at < 0 {
		return r.shortTried()
	}
	name, done := shortName(r.Tried[at].By), ": "+r.done()
	return name + cut(r.Tried[at].Value, shortRunes-len(name)-len(done)) + done
}

// shortTried names the candidates that found nothing that counts.
func (r Report) shortTried() string {
	if len(r.Tried) == 0 {
		return ""
	}
	var names []string
	for _, t := range r.Tried {
		names = append(names, shortName(t.By)+t.Value)
	}
	return cut("nothing found by "+strings.Join(names, ", "), shortRunes)
}

// done says what was done to the licenses. For a run that wrote nothing it says what was found.
func (r Report) done() string {
	var active, freed, inactive, leftAlone, disabled, were int
	for _, l := range r.Licenses {
		active, freed, inactive, leftAlone = active+l.Active, freed+l.Freed, inactive+l.Inactive, leftAlone+l.LeftAlone
		if l.Disable && r.ReadBack && !l.AfterEnabled {
			disabled++
		}
		if !l.WasEnabled {
			were++
		}
	}
	if r.Named != nil && r.Named.Outcome == deactivation.Deactivated {
		freed++
	}
	var parts []string
	if len(r.Licenses) > 1 {
		parts = append(parts, count(len(r.Licenses), "license"))
	}
	switch {
	case freed > 0:
		parts = append(parts, count(freed, "device")+" freed")
	case active > 0 && inactive == active: // the list still had them: an earlier attempt, or another message, was faster
		parts = append(parts, count(inactive, "device")+" already inactive")
	case active > 0:
		parts = append(parts, count(active, "active device"))
	default:
		parts = append(parts, "no active device")
	}
	if leftAlone > 0 {
		parts = append(parts, strconv.Itoa(leftAlone)+" left alone")
	}
	switch {
	case disabled == 1 && len(r.Licenses) == 1:
		parts = append(parts, "disabled")
	case disabled > 0:
		parts = append(parts, strconv.Itoa(disabled)+" disabled")
	case were > 0 && were == len(r.Licenses):
		parts = append(parts, "was disabled")
	}
	return strings.Join(parts, ", ")
}

// shortName is a filter's name in a few letters, with a blank behind it.
func shortName(filter string) string {
	switch filter {
	case "license_key":
		return "key "
	case "order__store_id":
		return "order "
	case "subscription_id":
		return "subscription "
	}
	return filter + " "
}

// cut shortens a text to so many runes, with … at its end.
func cut(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:max(most-1, 0)]) + "…"
}
