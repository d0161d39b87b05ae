//go:build integration

package integration

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// awsModels prints the options of the commands that it reads, as the AWS CLI names them: of each service's model (botocore,
// which is a part of moto) the operation's members. A boolean has a no- form as well.
const awsModels = `
import json, sys
import botocore, botocore.session
session, options = botocore.session.get_session(), {}
for command in json.load(sys.stdin):
    service, operation = command.split()
    model = session.get_service_model(service)
    names = {botocore.xform_name(name, "-"): name for name in model.operation_names}
    if operation in names:
        members = model.operation_model(names[operation]).input_shape.members
        options[command] = [botocore.xform_name(m, "-") for m in members]
        options[command] += ["no-" + botocore.xform_name(m, "-") for m, shape in members.items() if shape.type_name == "boolean"]
json.dump(options, sys.stdout)
`

// TestAWSKnowsTheCommands compares awsCommands with AWS's own models, so that the list cannot hold what does not exist.
func TestAWSKnowsTheCommands(t *testing.T) {
	t.Parallel()
	var commands []string
	for command := range awsCommands() {
		if !ofTheCLI(command) {
			commands = append(commands, command)
		}
	}
	asked, err := json.Marshal(append(commands, "sqs redrive-messages"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t.Context(), t, tool(t, "python"), "-c", awsModels)
	cmd.Stdin = strings.NewReader(string(asked))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("botocore: %v\n%s", err, stderrOf(err))
	}
	var known map[string][]string
	if err := json.Unmarshal(out, &known); err != nil {
		t.Fatal(err)
	}
	if known["sqs redrive-messages"] != nil {
		t.Error("a command that does not exist is known: the comparison sees nothing")
	}
	for _, command := range commands {
		if known[command] == nil {
			t.Errorf("AWS has no command %s", command)
		}
		for _, option := range awsCommands()[command] {
			if !slices.Contains(known[command], option) {
				t.Errorf("aws %s has no option --%s", command, option)
			}
		}
	}
}
