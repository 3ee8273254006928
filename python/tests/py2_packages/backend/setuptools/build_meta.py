"""The one hook that `pip download` asks for, answered from the PKG-INFO of the sdist."""

import os


class _FromPkgInfo:
    def prepare_metadata_for_build_wheel(self, directory, config_settings=None):
        fields = {}
        with open("PKG-INFO", encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(": ")
                if key in ("Name", "Version"):
                    fields.setdefault(key, value.strip())
        folder = f"{fields['Name'].replace('-', '_')}-{fields['Version']}.dist-info"
        os.makedirs(os.path.join(directory, folder))
        with open(os.path.join(directory, folder, "METADATA"), "w", encoding="utf-8") as file:
            file.write(f"Metadata-Version: 2.1\nName: {fields['Name']}\nVersion: {fields['Version']}\n")
        return folder

    def get_requires_for_build_wheel(self, config_settings=None):
        return []


__legacy__ = _FromPkgInfo()
