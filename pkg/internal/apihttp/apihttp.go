// Package apihttp holds what clients of an HTTP API share: the check of an address, a transport with bounded times, the
// bounded reading of a reply, Retry-After, and a scrubber that removes the values of a request from a server's texts.
//
// It depends on no API. Its errors hold no address and no value of a request.
package apihttp
