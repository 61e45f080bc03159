"""What an image was made of, as an SPDX 2.3 document in JSON: its files, and the source packages of its programs.

The packages come from SOURCE.sources.json beside the file that an entry was read from, or beside a folder that it is in
(the kernel's modules); scripts/describe-sources writes those when the programs are built. The same image gives the same
document."""
import hashlib
import json
import os
import re

EPOCH = "1970-01-01T00:00:00Z"
UNKNOWN = "NOASSERTION"


def identifier(*words):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(words))


def checksum(algorithm, data):
    return {"algorithm": algorithm.upper(), "checksumValue": hashlib.new(algorithm, data).hexdigest()}


def sources_of(entry):
    """The packages that a file was made of, where that is known."""
    place = entry.source
    while place.strip("./"):
        if os.path.exists(place + ".sources.json"):
            with open(place + ".sources.json") as file:
                return json.load(file)["packages"]
        place = os.path.dirname(place)
    return []


def file_element(number, entry):
    return {
        "SPDXID": identifier("file", str(number)),
        "fileName": "." + entry.path,
        "checksums": [checksum("sha1", entry.data), checksum("sha256", entry.data)],
        "licenseConcluded": UNKNOWN,
        "copyrightText": UNKNOWN,
    }


def source_id(package):
    return identifier("source", package["name"], package["version"])


def source_element(package):
    element = {
        "SPDXID": source_id(package),
        "name": package["name"],
        "versionInfo": package["version"],
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": package["licence"] or UNKNOWN,
        "copyrightText": UNKNOWN,
        "primaryPackagePurpose": "SOURCE",
    }
    if package["files"]:
        element["externalRefs"] = [{
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
            "referenceLocator": f"pkg:deb/debian/{package['name']}@{package['version'].replace(':', '%3A')}?arch=source"}]
    return element


def archive_element(package, name, sha256):
    """One of a source package's files, as it was fetched."""
    return {
        "SPDXID": identifier("archive", name),
        "name": name,
        "versionInfo": package["version"],
        "packageFileName": name,
        "checksums": [{"algorithm": "SHA256", "checksumValue": sha256}],
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
        "primaryPackagePurpose": "ARCHIVE",
    }


def image_element(name, data, files):
    sums = sorted(file["checksums"][0]["checksumValue"] for file in files)
    return {
        "SPDXID": "SPDXRef-image",
        "name": name,
        "packageFileName": name,
        "checksums": [checksum("sha256", data)],
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": True,
        "packageVerificationCode": {"packageVerificationCodeValue": hashlib.sha1("".join(sums).encode()).hexdigest()},
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
    }


def relation(kind, first, second):
    return {"spdxElementId": first, "relationshipType": kind, "relatedSpdxElement": second}


def describe(image, path, name):
    """The document, as text. `path` is the image as it is now, `name` what it is going to be called."""
    with open(path, "rb") as file:
        data = file.read()
    entries = [entry for entry in image.entries() if entry.is_file()]
    files = [file_element(number, entry) for number, entry in enumerate(entries, 1)]
    packages = {"SPDXRef-image": image_element(name, data, files)}
    relations = [relation("DESCRIBES", "SPDXRef-DOCUMENT", "SPDXRef-image")]
    for entry, file in zip(entries, files):
        relations.append(relation("CONTAINS", "SPDXRef-image", file["SPDXID"]))
        for package in sources_of(entry):
            relations.append(relation("GENERATED_FROM", file["SPDXID"], source_id(package)))
            if source_id(package) in packages:
                continue
            packages[source_id(package)] = source_element(package)
            for archive, sha256 in sorted(package["files"].items()):
                packages[identifier("archive", archive)] = archive_element(package, archive, sha256)
                relations.append(relation("CONTAINS", source_id(package), identifier("archive", archive)))
    return json.dumps({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{image.uuid()}",
        "creationInfo": {"created": EPOCH, "creators": ["Tool: nacre-build-image"]},
        "packages": list(packages.values()),
        "files": files,
        "relationships": relations,
    }, indent=1) + "\n"
