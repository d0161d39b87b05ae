package apihttp

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

// CheckAddress returns an API's base address without a slash at its end. It must be https, or http on this machine
// (localhost, 127.0.0.0/8, ::1), and end with its path. The error says what is wrong and does not repeat the address,
// which may hold a password. example is part of the error for a text that is not an address.
func CheckAddress(text, example string) (string, error) {
	if text == "" {
		return "", errors.New("is missing")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return "", errors.New("is no address such as " + example)
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("must begin with https://")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "", errors.New("must be https; http is allowed for this machine alone")
	case u.User != nil:
		return "", errors.New("must not hold a user or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("must end with its path: no query, no fragment")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
