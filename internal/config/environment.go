package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The second halves of error messages: what to set.
const (
	setQueueURL           = "set the URL of the queue"
	setDeadLetterQueueURL = "set the URL of the dead-letter queue"
	setLicenseAPIURL      = "set it with /api/v4, as https://api.licensespring.com/api/v4"
	setManagementAPIURL   = "set it with /api/v1, as https://saas.licensespring.com/api/v1, or remove it"
	setSecretARN          = "set the secret's ARN, never the secret itself"
	setPublicURL          = "set the URL that senders call, up to /webhooks/, or remove it"
)

// environment reads variables and collects their problems, in the order in which they are read.
type environment struct {
	getenv   func(string) string
	problems []error
}

func (e *environment) err() error { return errors.Join(e.problems...) }

func (e *environment) problem(name, wrong, set string) {
	e.problems = append(e.problems, fmt.Errorf("%s: %s; %s", name, wrong, set))
}

// required returns the variable if it is valid, else "". check returns what is wrong with a value, or "".
func (e *environment) required(name string, check func(value string) (wrong string), set string) string {
	if e.getenv(name) == "" {
		e.problem(name, "is missing", set)
		return ""
	}
	return e.optional(name, check, set)
}

// optional is like required for a variable that may be absent.
func (e *environment) optional(name string, check func(value string) (wrong string), set string) string {
	value := e.getenv(name)
	if value == "" {
		return ""
	}
	if wrong := check(value); wrong != "" {
		e.problem(name, wrong, set)
		return ""
	}
	return value
}

// choice returns one of the values; the first is the default.
func (e *environment) choice(name string, values ...string) string {
	value := e.getenv(name)
	switch {
	case value == "":
		return values[0]
	case !slices.Contains(values, value):
		e.problem(name, "has an unknown value", "set "+strings.Join(values, " or "))
		return values[0]
	}
	return value
}

// integer reads an integer from 1 to most; fallback is the default.
func (e *environment) integer(name string, fallback, most int) int {
	return e.integerFrom(1, name, fallback, most)
}

// integerFrom is integer for a variable whose least value is not 1.
func (e *environment) integerFrom(least int, name string, fallback, most int) int {
	value := e.getenv(name)
	if value == "" {
		return fallback
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		e.problem(name, "is not an integer in its range", fmt.Sprintf("set %d to %d", least, most))
		return fallback
	}
	return n
}

// number reads a number that valid accepts; fallback is the default. valid is written so that it refuses NaN.
func (e *environment) number(name string, fallback float64, valid func(float64) bool, set string) float64 {
	value := e.getenv(name)
	if value == "" {
		return fallback
	}
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || !valid(n) {
		e.problem(name, "is not a number in its range", set)
		return fallback
	}
	return n
}

// age reads a duration of at least least, or 0; fallback is the default.
func (e *environment) age(name string, fallback, least time.Duration) time.Duration {
	value := e.getenv(name)
	if value == "" {
		return fallback
	}
	d, err := time.ParseDuration(value)
	if err != nil || d != 0 && d < least {
		e.problem(name, "is not a duration in its range", fmt.Sprintf("set %v or more, such as %v, or 0 for no limit", least, fallback))
		return fallback
	}
	return d
}

// httpURL returns why a value is not an absolute http or https URL, or "".
func httpURL(value string) (wrong string) {
	u, err := url.Parse(value)
	switch {
	case err != nil || strings.ContainsAny(value, " \t"):
		return "is not a URL"
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.Hostname() == "":
		return "is not an absolute http or https URL"
	case u.User != nil:
		return "holds a user or password"
	case u.RawQuery != "" || u.ForceQuery:
		return "has a query"
	case u.Fragment != "" || strings.Contains(value, "#"):
		return "has a fragment"
	}
	return ""
}

// apiBaseURL returns why a value cannot be the base URL of one of LicenseSpring's APIs, or "". A key is sent to that URL,
// so it must be https except on loopback.
func apiBaseURL(value string) (wrong string) {
	if wrong := httpURL(value); wrong != "" {
		return wrong
	}
	u, err := url.Parse(value)
	switch {
	case err != nil:
		return "is not a URL"
	case u.Scheme != "https" && !loopback(u.Hostname()):
		return "is not https"
	case strings.Trim(u.Path, "/") == "":
		return "has no path"
	}
	return ""
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

var arn = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$`)

func secretARN(value string) (wrong string) {
	if !arn.MatchString(value) {
		return "is not the ARN of a secret"
	}
	return ""
}
