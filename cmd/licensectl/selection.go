package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/managementapi"
)

// selection is the one id by which a command finds licenses in LicenseSpring. Ids are exact: no part of an id finds
// anything.
type selection struct {
	order, key, subscription string
	by                       string // the flag that is given, once it is checked
}

func (s *selection) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.order, "order", "", "the order's id, exactly as LicenseSpring has it")
	cmd.Flags().StringVar(&s.key, "key", "", "a license key; - reads it from stdin")
	cmd.Flags().StringVar(&s.subscription, "subscription", "", "the subscription's id, exactly as LicenseSpring has it")
}

// oneIDByFlag refuses arguments: which kind of id one would be cannot be known.
func oneIDByFlag(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misused("say what it is: "+cmd.CommandPath()+" --order ID, --key KEY or --subscription ID", "%s takes no argument", cmd.Name())
	}
	return nil
}

// readKey reads a license key from stdin: one line, so that a terminal needs no end of input.
func readKey(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, maxKeyBytes)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", failed(fmt.Errorf("the key cannot be read from stdin: %w", err), "")
	}
	return strings.TrimSpace(line), nil
}

// value returns the id and the filter by which its licenses are listed.
func (s *selection) value() (string, managementapi.Filter) {
	switch s.by {
	case "order":
		return s.order, managementapi.ByOrder(s.order)
	case "key":
		return s.key, managementapi.ByLicenseKey(s.key)
	}
	return s.subscription, managementapi.BySubscription(s.subscription)
}

// check refuses anything but one id that may be looked up.
func (s *selection) check(cmd *cobra.Command) error {
	given := 0
	for _, name := range []string{"order", "key", "subscription"} {
		if cmd.Flags().Changed(name) {
			given++
			s.by = name
		}
	}
	if given != 1 {
		return misused("give one id, such as --order pi_3Nx", "exactly one of --order, --key and --subscription is needed, not %d", given)
	}
	if s.by == "key" && s.key == "-" {
		if isTerminal(cmd.InOrStdin()) {
			fmt.Fprint(cmd.ErrOrStderr(), "License key: ")
		}
		key, err := readKey(cmd.InOrStdin())
		if err != nil {
			return err
		}
		s.key = key
	}
	_, by := s.value()
	if err := by.Check(); err != nil {
		why := strings.TrimPrefix(err.Error(), managementapi.ErrFilter.Error()+": "+by.Name()+" ")
		return misused("give the id exactly as the store or LicenseSpring shows it", "--%s %s: it may find licenses of other customers, and is not looked up", s.by, why)
	}
	return nil
}

// String describes the selection for a person; a key is shortened.
func (s *selection) String() string {
	value, _ := s.value()
	if s.by == "key" {
		return "key " + deactivation.Shorten(value)
	}
	return s.by + " " + strconv.Quote(value)
}

// request is the selection as a request to look up: all devices of all its licenses.
func (s *selection) request(now time.Time, disable bool) deactivation.Request {
	r := deactivation.Request{
		ID: submitSource + "." + "preview", Source: submitSource, Origin: deactivation.OriginDirect, Cause: deactivation.CauseManual, ReceivedAt: now, Disable: disable,
	}
	switch value, _ := s.value(); s.by {
	case "order":
		r.Lookup.Order = []deactivation.Candidate{{ID: value}}
	case "key":
		r.LicenseKey = value
	default:
		r.Lookup.Subscription = deactivation.Candidate{ID: value}
	}
	return r
}
