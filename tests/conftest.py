"""The order of the suite."""


def pytest_collection_modifyitems(items):
    """Begin with the files that have slow tests: workers take files in this order, and then end together."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
