package main

import (
	"net/url"
	"strings"
)

// Versions of the APIs that the addresses end in.
const (
	licenseAPIVersion    = "/api/v4"
	managementAPIVersion = "/api/v1"
)

// checkAPIAddress refuses the address of an API without its version: every call would go to a page that is not there. An empty
// one is not given.
func checkAPIAddress(flag, address, version, example string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || !strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), version) {
		return misused("give an address such as "+example, "--%s must be an address that ends in %s", flag, version)
	}
	return nil
}

func checkLicenseAPI(address string) error {
	return checkAPIAddress("license-api", address, licenseAPIVersion, defaultLicenseAPI)
}

func checkManagementAPI(address string) error {
	return checkAPIAddress("management-api", address, managementAPIVersion, defaultManagementAPI)
}
