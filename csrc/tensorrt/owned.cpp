#include "owned.hpp"

#include <cstddef>

namespace brats::trt {

DeviceMemory allocate(const std::shared_ptr<const Device>& device, std::int64_t nbytes, const std::string& purpose) {
    const Driver& driver = device->driver();
    CUdeviceptr address = 0;
    driver.check(driver->allocate(&address, static_cast<std::size_t>(nbytes)),
                 "to allocate " + std::to_string(nbytes) + " bytes on " + device->name() + " for " + purpose +
                     "; free some, or share the memory of another context");
    return {device, address, driver->free};
}

Event make_event(const std::shared_ptr<const Device>& device) {
    const Driver& driver = device->driver();
    CUevent event = nullptr;
    driver.check(driver->create_event(&event, CU_EVENT_DISABLE_TIMING), "to create an event");
    return {device, event, driver->destroy_event};
}

Executable instantiate(const std::shared_ptr<const Device>& device, const Graph& graph) {
    const Driver& driver = device->driver();
    CUgraphExec executable = nullptr;
    driver.check(driver->instantiate(&executable, graph.get(), 0), "to make the captured graph executable");
    return {device, executable, driver->destroy_executable};
}

}  // namespace brats::trt
