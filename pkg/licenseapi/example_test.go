package licenseapi_test

import (
	"context"
	"fmt"

	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/signing"
)

func Example() {
	// A fake of the API stands in for https://api.licensespring.com/api/v4.
	api, err := licenseapitest.New(licenseapitest.State{
		APIKeys:  map[string]string{"my-api-key": "my-shared-key"},
		Licenses: []licenseapitest.License{{Product: "XY", LicenseKey: "AAAA-BBBB-CCCC-DDDD", Devices: []string{"laptop"}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	url, stop, err := api.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()

	signer, err := signing.NewSigner("my-api-key", "my-shared-key")
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := licenseapi.New(licenseapi.Config{BaseURL: url, Authorizer: licenseapi.HMAC(signer)})
	if err != nil {
		fmt.Println(err)
		return
	}
	request := licenseapi.Deactivation{Product: "XY", LicenseKey: "AAAA-BBBB-CCCC-DDDD", HardwareID: "laptop"}
	for range 2 {
		err := client.Deactivate(context.Background(), request)
		fmt.Printf("%v %q\n", licenseapi.KindOf(err), licenseapi.CodeOf(err))
	}
	request.LicenseKey = "AAAA-BBBB-CCCC-EEEE"
	err = client.Deactivate(context.Background(), request)
	fmt.Printf("%v %q\n", licenseapi.KindOf(err), licenseapi.CodeOf(err))
	fmt.Println(request)
	// Output:
	// deactivated ""
	// already_inactive "device_not_found"
	// rejected "license_not_found"
	// deactivation of license …EEEE of XY
}
