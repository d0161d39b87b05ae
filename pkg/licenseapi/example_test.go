package licenseapi_test

import (
	"context"
	"fmt"
	"time"

	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/signing"
)

func Example() {
	// A fake of the API replaces https://api.licensespring.com/api/v4.
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

func ExampleClient_OAuth() {
	api, err := licenseapitest.New(licenseapitest.State{
		Clients:  map[string]string{"my-client-id": "my-client-secret"},
		Licenses: []licenseapitest.License{{Product: "XY", Bundle: "BU", LicenseKey: "AAAA-BBBB-CCCC-DDDD", Devices: []string{"laptop"}}},
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

	client, err := licenseapi.New(licenseapi.Config{BaseURL: url})
	if err != nil {
		fmt.Println(err)
		return
	}
	oauth, err := client.OAuth("my-client-id", "my-client-secret", licenseapitest.TokenURL(url)) // "" for the vendor's own
	if err != nil {
		fmt.Println(err)
		return
	}
	client = client.With(oauth)
	err = client.DeactivateBundle(context.Background(), licenseapi.Deactivation{Product: "BU", LicenseKey: "AAAA-BBBB-CCCC-DDDD", HardwareID: "laptop"})
	fmt.Println(licenseapi.KindOf(err), oauth)
	// Output: deactivated [OAuth client]
}

func ExampleClient_DeactivateOffline() {
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

	// A customer's file is posted as it is. This one is made here.
	files, err := signing.NewOfflineSigner("my-api-key", "my-shared-key")
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := files.FileV1(signing.OfflineRequest{
		RequestID: "00000000-0000-4000-8000-000000000001", Date: signing.Date(time.Now()), Product: "XY", LicenseKey: "AAAA-BBBB-CCCC-DDDD", HardwareID: "laptop",
	})
	if err != nil {
		fmt.Println(err)
		return
	}

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
	file := licenseapi.RequestFile{Content: text}
	fmt.Println(licenseapi.KindOf(client.DeactivateOffline(context.Background(), file)), file)
	fmt.Println(client.DeactivateOffline(context.Background(), licenseapi.RequestFile{Content: text[:100]}))
	// Output:
	// deactivated [request file]
	// licenseapi: a field cannot be sent: request_file: signing: not a request file: it is Base64, but not of a JSON object (at byte 75)
}
