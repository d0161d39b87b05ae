package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// takes makes the error of check say what the command takes, such as "one FILE", and how to give it.
func takes(check cobra.PositionalArgs, what, hint string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) == nil {
			return nil
		}
		return misused(hint, "%s takes %s, not %s", cmd.CommandPath(), what, count(len(args), "argument"))
	}
}

// group completes a command that only holds others: alone it prints its help. A mistyped subcommand is the error even if flags
// follow, which group itself does not have.
func group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(commands...)
	check := func(args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, c := range commands {
			names = append(names, c.Name())
		}
		return misused("its commands are "+strings.Join(names, ", "), "unknown command %q for %q", args[0], cmd.CommandPath())
	}
	cmd.Args = func(_ *cobra.Command, args []string) error { return check(args) }
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if c != cmd { // a subcommand inherits this function
			return err
		}
		if unknown := check(c.Flags().Args()); unknown != nil {
			return unknown
		}
		return err
	})
	return cmd
}
