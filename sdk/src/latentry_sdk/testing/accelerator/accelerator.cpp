// A pretend accelerator: two devices of torch's PrivateUse1 kind, whose memory is the host's, counted and
// limited.
//
// Operators run on the host over the same memory, and what they give is counted on the device. While devices
// are dry, operators only find out shapes: nothing is computed, and memory that is counted is never touched.

#define TORCH_ASSERT_ONLY_METHOD_OPERATORS
#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/native/transformers/attention.h>
#include <ATen/native/transformers/sdp_utils_cpp.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/library.h>

#include <sys/mman.h>

#include <mutex>

namespace {

using at::Tensor;
using Sizes = c10::SymIntArrayRef;
constexpr auto FAKE = c10::DeviceType::PrivateUse1;
constexpr int DEVICES = 2;
constexpr c10::DispatchKeySet KEYS(c10::DispatchKey::PrivateUse1);

struct Ledger {
  int64_t now = 0, peak = 0, limit = -1;
};

struct Block {
  void* data;
  int64_t bytes;
  int device;
  bool hollow;
};

std::mutex mutex;
Ledger ledgers[DEVICES];
bool dry = false, fused = true;
thread_local c10::DeviceIndex current = 0;

Ledger& ledger(int64_t device) {
  TORCH_CHECK_INDEX(0 <= device && device < DEVICES, "there is no device fake:", device);
  return ledgers[device];
}

void release(void* context) {
  auto block = static_cast<Block*>(context);
  {
    std::lock_guard<std::mutex> held(mutex);
    ledgers[block->device].now -= block->bytes;
  }
  if (block->hollow) {
    munmap(block->data, block->bytes);
  } else {
    c10::free_cpu(block->data);
  }
  delete block;
}

// Addresses without memory behind them, until it is touched.
void* reserve(size_t size) {
  auto data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  TORCH_CHECK(data != MAP_FAILED, "no addresses are left for ", size, " bytes");
  return data;
}

struct Allocator final : c10::Allocator {
  c10::DataPtr allocate(size_t size) override {
    const auto bytes = static_cast<int64_t>(size);
    {
      std::lock_guard<std::mutex> held(mutex);
      auto& found = ledgers[current];
      TORCH_CHECK_WITH(OutOfMemoryError, found.limit < 0 || found.now + bytes <= found.limit, "fake:",
                       int(current), " is out of memory: ", bytes, " bytes wanted, ", found.now, " of ",
                       found.limit, " in use");
      found.now += bytes;
      found.peak = std::max(found.peak, found.now);
    }
    const bool hollow = dry && size > 0;
    auto block = new Block{hollow ? reserve(size) : c10::alloc_cpu(size), bytes, current, hollow};
    return {block->data, block, &release, c10::Device(FAKE, current)};
  }
  void copy_data(void* to, const void* from, size_t count) const override {
    if (!dry) std::memcpy(to, from, count);
  }
};

Allocator allocator;
REGISTER_ALLOCATOR(FAKE, &allocator);

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return FAKE; }
  c10::Device getDevice() const override { return {FAKE, current}; }
  c10::Device exchangeDevice(c10::Device device) const override {
    auto before = getDevice();
    setDevice(device);
    return before;
  }
  void setDevice(c10::Device device) const override {
    ledger(device.index());
    current = device.index();
  }
  void uncheckedSetDevice(c10::Device device) const noexcept override { current = device.index(); }
  c10::Stream getStream(c10::Device device) const override {
    return c10::Stream(c10::Stream::DEFAULT, device);
  }
  c10::Stream getDefaultStream(c10::Device device) const override { return getStream(device); }
  c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  c10::DeviceIndex deviceCount() const noexcept override { return DEVICES; }
  void synchronizeStream(const c10::Stream&) const override {}
  void synchronizeDevice(const c10::DeviceIndex) const override {}
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return DEVICES; }
};

c10::Device placed(std::optional<c10::Device> device) {
  return {FAKE, device && device->has_index() ? device->index() : current};
}

Tensor empty(Sizes size, std::optional<c10::ScalarType> dtype, std::optional<c10::Layout>,
             std::optional<c10::Device> device, std::optional<bool>,
             std::optional<c10::MemoryFormat> format) {
  c10::DeviceGuard guard(placed(device));
  return at::detail::empty_generic(C10_AS_INTARRAYREF_SLOW(size), &allocator, KEYS,
                                   c10::dtype_or_default(dtype), format);
}

Tensor empty_strided(Sizes size, Sizes stride, std::optional<c10::ScalarType> dtype,
                     std::optional<c10::Layout>, std::optional<c10::Device> device, std::optional<bool>) {
  c10::DeviceGuard guard(placed(device));
  return at::detail::empty_strided_generic(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride),
                                           &allocator, KEYS, c10::dtype_or_default(dtype));
}

// The same memory as a tensor of the host, or one of the same shape that has no memory; one without elements
// is something that an operator may still resize.
Tensor counterpart(const Tensor& tensor) {
  if (dry || tensor.numel() == 0)
    return at::empty_strided(tensor.sizes(), tensor.strides(),
                             tensor.options().device(dry ? at::kMeta : at::kCPU));
  if (!tensor.is_privateuseone()) return tensor;
  return at::from_blob(tensor.mutable_data_ptr(), tensor.sizes(), tensor.strides(),
                       tensor.options().device(at::kCPU));
}

Tensor copy_from(const Tensor& self, const Tensor& to, bool) {
  if (!dry) {
    counterpart(to).copy_(counterpart(self));
  } else if (to.is_cpu()) {
    to.zero_();
  }
  return to;
}

// What is asked of a dry device has no answer; yes is the one that stops no check.
at::Scalar local_scalar(const Tensor& self) {
  if (dry) return self.scalar_type() == at::kBool ? at::Scalar(true) : at::Scalar(0);
  return counterpart(self).item();
}

// Runs any operator on the counterparts of its arguments; a result that is not one of them gets memory.
struct Call {
  c10::Device device{FAKE, current};
  std::vector<std::pair<Tensor, Tensor>> pairs;

  Tensor there(const Tensor& tensor) {
    const bool ours = tensor.defined() && tensor.is_privateuseone();
    if (!tensor.defined() || (!ours && !(dry && tensor.is_cpu() && tensor.dim() > 0))) return tensor;
    if (ours && pairs.empty()) device = tensor.device();
    pairs.emplace_back(tensor, counterpart(tensor));
    return pairs.back().second;
  }

  Tensor back(const Tensor& result) {
    if (!result.defined()) return result;
    for (auto& [own, other] : pairs)
      if (other.is_same(result)) return own.sizes() == other.sizes() ? own : resized(own, moved(other));
    return moved(result);
  }

  Tensor moved(const Tensor& result) {
    auto dense = result.is_non_overlapping_and_dense() ? result : result.contiguous();
    auto own = at::empty_strided(dense.sizes(), dense.strides(), dense.options().device(device));
    if (!dry) counterpart(own).copy_(dense);
    return own;
  }

  Tensor resized(const Tensor& own, const Tensor& wanted) {
    own.unsafeGetTensorImpl()->set_storage_keep_dtype(wanted.storage());
    own.unsafeGetTensorImpl()->set_sizes_and_strides(wanted.sizes(), wanted.strides());
    return own;
  }

  void take(c10::IValue& value) {
    if (value.isTensor()) {
      value = there(value.toTensor());
    } else if (value.isTensorList()) {
      c10::List<Tensor> list;
      for (const Tensor& item : value.toTensorVector()) list.push_back(there(item));
      value = list;
    } else if (value.isOptionalTensorList()) {
      c10::List<std::optional<Tensor>> list;
      for (const std::optional<Tensor>& item : value.toOptionalTensorVector())
        list.push_back(item ? std::optional<Tensor>(there(*item)) : std::nullopt);
      value = list;
    } else if (value.isDevice() && value.toDevice().type() == FAKE) {
      device = placed(value.toDevice());
      value = c10::Device(dry ? at::kMeta : at::kCPU);
    }
  }

  void give(c10::IValue& value) {
    if (value.isTensor()) {
      value = back(value.toTensor());
    } else if (value.isTensorList()) {
      c10::List<Tensor> list;
      for (const Tensor& item : value.toTensorVector()) list.push_back(back(item));
      value = list;
    }
  }
};

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  Call call;
  const auto arguments = op.schema().arguments().size(), results = op.schema().returns().size();
  for (auto i = stack->size() - arguments; i < stack->size(); i++) call.take((*stack)[i]);
  op.callBoxed(*stack);
  for (auto i = stack->size() - results; i < stack->size(); i++) call.give((*stack)[i]);
}

Tensor convolution(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                   Sizes stride, Sizes padding, Sizes dilation,
                   bool transposed, Sizes output_padding, c10::SymInt groups) {
  Call call;
  auto own = call.there(input), kernel = call.there(weight);
  auto offset = bias ? std::optional<Tensor>(call.there(*bias)) : bias;
  return call.back(at::convolution_symint(own, kernel, offset, stride, padding, dilation, transposed,
                                          output_padding, groups));
}

int64_t attention_choice(const Tensor&, const Tensor&, const Tensor&, const std::optional<Tensor>&, double,
                         bool, std::optional<double>, bool) {
  return static_cast<int64_t>(fused ? sdp::SDPBackend::overrideable : sdp::SDPBackend::math);
}

using Attended = std::tuple<Tensor, Tensor, Tensor, Tensor, c10::SymInt, c10::SymInt, Tensor, Tensor, Tensor>;

// Attention that keeps no scores, as flash attention does.
Attended attention(const Tensor& query, const Tensor& key, const Tensor& value,
                   const std::optional<Tensor>& bias, double dropout, bool causal, bool,
                   std::optional<double> scale) {
  Call call;
  auto q = call.there(query), k = call.there(key), v = call.there(value);
  auto added = bias ? std::optional<Tensor>(call.there(*bias)) : bias;
  auto found = call.back(at::scaled_dot_product_attention(q, k, v, added, dropout, causal, scale));
  return {found, {}, {}, {}, query.sym_size(2), key.sym_size(2), {}, {}, {}};
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize",
         [](const Tensor& self, const Tensor& to) { return copy_from(self, to, false); });
  m.impl("_local_scalar_dense", local_scalar);
  m.impl("as_strided", at::native::as_strided_tensorimpl);
  m.impl("view", at::native::view);
  m.impl("_reshape_alias", at::native::_reshape_alias);
  m.impl("unfold", at::native::unfold);
  m.impl("convolution_overrideable", convolution);
  m.impl("_scaled_dot_product_fused_attention_overrideable", attention);
  // These have kernels of their own on every accelerator, not only the sums that they stand for.
  for (auto name : {"native_group_norm", "native_layer_norm", "silu", "gelu", "addmm", "bmm", "_softmax"})
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&fallback>());
}

TORCH_LIBRARY(latentry_fake, m) {
  m.def("allocated(int device) -> int", [](int64_t device) { return ledger(device).now; });
  m.def("peak(int device) -> int", [](int64_t device) { return ledger(device).peak; });
  m.def("restart(int device) -> ()", [](int64_t device) { ledger(device).peak = ledger(device).now; });
  m.def("set_limit(int device, int bytes) -> ()",
        [](int64_t device, int64_t bytes) { ledger(device).limit = bytes; });
  m.def("set_fused(bool on) -> ()", [](bool on) { fused = on; });
  m.def("set_dry(bool on) -> ()", [](bool on) { dry = on; });
  m.def("current() -> int", []() { return int64_t(current); });
  m.def("set_current(int device) -> ()", [](int64_t device) { ledger(device), current = device; });
}

[[maybe_unused]] const bool hooked = [] {
  static Hooks hooks;
  at::RegisterPrivateUse1HooksInterface(&hooks);
  return true;
}();

}  // namespace

namespace at::native {
REGISTER_PRIVATEUSE1_DISPATCH(_fused_sdp_choice_stub, &attention_choice)
}
