"""Map the rooms' folders to `deblurbench.<room>.<plugin>` for wheels; everything else stands in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

packages = find_packages(include=["deblurbench", "deblurbench.*"])
folders = {}
for room in ("methods", "datasets", "reports"):
    for place in sorted(p for p in Path(room).rglob("*") if p.is_dir() and "__pycache__" not in p.parts):
        package = ".".join(("deblurbench", *place.parts))
        packages.append(package)
        folders[package] = str(place)

setup(packages=packages, package_dir=folders, package_data={"": ["*"]}, include_package_data=False)
